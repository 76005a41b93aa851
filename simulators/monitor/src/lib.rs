//! A bedside-monitor simulator that publishes recordings or generated patients over MQTT.
