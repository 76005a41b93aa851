//! An embedded MQTT broker on a free loopback port, for the demo and for tests.
