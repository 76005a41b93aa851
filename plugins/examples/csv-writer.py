#!/usr/bin/env python3
"""Sink: appends each alert as one row of a CSV file. Usage: csv-writer.py FILE"""
import csv, json, os, sys

COLUMNS = ["key", "type", "code", "level", "mode", "priority", "bed", "onset", "decided", "text"]


def say(**message):
    print(json.dumps(message), flush=True)


with open(sys.argv[1], "a+", newline="", encoding="utf-8") as file:
    file.seek(0)
    seen = {row["key"] for row in csv.DictReader(file)}
    rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
    if file.tell() == 0:
        rows.writeheader()
    for line in sys.stdin:
        message = json.loads(line)
        if message["op"] == "hello":
            say(op="ready", proto=1, name="csv-writer")
        elif message["op"] == "ping":
            say(op="pong", n=message["n"])
        elif message["op"] == "alert":
            key = message["key"]
            if key not in seen:  # the same alert may come twice, always under the same key
                rows.writerow({"key": key, **message["alert"]})
                file.flush()
                os.fsync(file.fileno())
                seen.add(key)
            say(op="done", key=key)
        elif message["op"] == "bye":
            break
