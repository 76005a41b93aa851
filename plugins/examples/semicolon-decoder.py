#!/usr/bin/env python3
"""Decoder of a made-up gateway that sends `milliseconds;rate;lead;uV;uV;...` on `gateway/SITE/UNIT/BED`.

An empty value is a missing sample. The gateway counts no samples, so the index is made of its time stamps: gaps
stay gaps. A time that runs backwards, or another rate, begins a new epoch.
"""
import base64, datetime, json, secrets, sys

places = {}  # bed -> (epoch, time of index 0, rate, last time)


def frame(topic, payload):
    gateway, bed = topic.split("/", 1)
    time_ms, rate, lead, *samples = payload.decode("ascii").strip().split(";")
    time_ms, rate = int(time_ms), int(rate)
    if gateway != "gateway" or bed.count("/") != 2 or rate <= 0 or not samples:
        raise ValueError("not a message of this gateway")
    values = [int(value) if value else None for value in samples]
    epoch, began, known_rate, last = places.get(bed, (None, 0, 0, 0))
    if epoch is None or rate != known_rate or time_ms < last:
        epoch, began = secrets.token_hex(4), time_ms
    t0 = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.timezone.utc)
    found = {"v": 1, "bed": bed, "epoch": epoch, "n0": round((time_ms - began) * rate / 1000), "rate_hz": rate,
             "t0": t0.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "unit": "uV", "leads": {lead: values}}
    places[bed] = (epoch, began, rate, time_ms)
    return found


def say(**message):
    print(json.dumps(message), flush=True)


for line in sys.stdin:
    message = json.loads(line)
    if message["op"] == "hello":
        say(op="ready", proto=1, name="semicolon-decoder")
    elif message["op"] == "ping":
        say(op="pong", n=message["n"])
    elif message["op"] == "payload":
        try:
            found = frame(message["topic"], base64.b64decode(message["base64"]))
            say(op="frames", n=message["n"], frames=[found])
        except (ValueError, OverflowError, OSError) as fault:
            say(op="undecodable", n=message["n"], why=str(fault)[:200])
    elif message["op"] == "bye":
        break
