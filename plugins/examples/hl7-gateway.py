#!/usr/bin/env python3
"""Gateway: HL7 v2 waveforms (ORU^W01, or R01 as IHE WCM) over MLLP in, Wardbeat's frames over MQTT out.

Usage: hl7-gateway.py --site SITE [--unit UNIT] [--listen HOST:PORT] [--broker HOST:PORT] [--mode real|test|demo]

It answers each message (MSA-1 AA, or AE with the reason), names the bed by PV1-3 (unit^room^bed), counts samples, and
begins a new epoch when it starts or a monitor's rate changes. A hole between two messages is kept as a hole. Python's
standard library is all it needs; it speaks MQTT 3.1.1. Plain sockets: run it beside broker and Wardbeat."""
import argparse, datetime, json, os, re, socket, socketserver, struct, sys, threading, time

CODES = {"131329": "I", "131330": "II", "131331": "V1", "131332": "V2", "131333": "V3", "131334": "V4",
         "131335": "V5", "131336": "V6", "131389": "III", "131390": "aVR", "131391": "aVL", "131392": "aVF"}
MILLIVOLTS = {"MDC_DIM_VOLT": 1e3, "MDC_DIM_MILLI_VOLT": 1.0, "MDC_DIM_MICRO_VOLT": 1e-3, "MDC_DIM_NANO_VOLT": 1e-6,
              "MV": 1.0, "UV": 1e-3}
START, END = b"\x0b", b"\x1c"
MESSAGE_BYTES_MAX = 1 << 20


class Mqtt:
    """One connection to the broker, joined again when it breaks. What cannot be sent now is not sent: late ECG is
    worthless."""

    def __init__(self, host, port, name, will):
        self.address, self.name, self.will = (host, port), name, will
        self.lock, self.socket, self.next_try, self.why = threading.Lock(), None, 0.0, "not tried yet"
        self.kept = {will[0]: b"online"}
        threading.Thread(target=self.keep_alive, daemon=True).start()

    @staticmethod
    def text(value):
        value = value if isinstance(value, bytes) else value.encode()
        return struct.pack(">H", len(value)) + value

    @staticmethod
    def packet(head, body):
        length, size = b"", len(body)
        while True:
            size, digit = divmod(size, 128)
            length += bytes([digit | (0x80 if size else 0)])
            if not size:
                return bytes([head]) + length + body

    def join(self):
        if time.monotonic() < self.next_try:
            raise OSError(f"the broker is away: {self.why}")
        self.next_try = time.monotonic() + 1.0
        link = socket.create_connection(self.address, timeout=5)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        will_topic, will = self.will
        # Clean session, will with QoS 1 and retain, keep-alive 5 s.
        body = self.text("MQTT") + bytes([4, 0x02 | 0x04 | 0x08 | 0x20]) + struct.pack(">H", 5)
        link.sendall(self.packet(0x10, body + self.text(self.name) + self.text(will_topic) + self.text(will)))
        answer = link.recv(4)
        if len(answer) < 4 or answer[0] != 0x20 or answer[3] != 0:
            raise OSError(f"the broker refuses us: {answer!r}")
        self.socket = link
        threading.Thread(target=self.drain, args=(link,), daemon=True).start()
        for topic, payload in self.kept.items():
            link.sendall(self.packet(0x31, self.text(topic) + payload))

    @staticmethod
    def drain(link):
        try:
            while link.recv(4096):
                pass
        except OSError:
            pass

    def send(self, packet):
        with self.lock:
            try:
                if self.socket is None:
                    self.join()
                self.socket.sendall(packet)
            except OSError as fault:
                if self.socket is not None:
                    self.socket.close()
                if "away" not in str(fault):
                    self.why = str(fault)
                self.socket = None
                raise

    def publish(self, topic, payload, keep=False):
        payload = payload.encode()
        if keep:
            self.kept[topic] = payload
        self.send(self.packet(0x31 if keep else 0x30, self.text(topic) + payload))

    def keep_alive(self):
        while True:
            try:
                self.send(self.packet(0xC0, b""))
            except OSError as fault:
                print(f"broker: {fault}", file=sys.stderr, flush=True)
            time.sleep(2)


class Message:
    """The segments of one HL7 message, by their fields."""

    def __init__(self, raw):
        text = raw.decode("utf-8", "replace").replace("\n", "\r")
        self.segments = [line for line in text.split("\r") if line]
        if not self.segments or not self.segments[0].startswith("MSH") or len(self.segments[0]) < 8:
            raise ValueError("the message does not begin with MSH")
        self.field_mark, self.part_mark, self.repeat_mark = text[3], text[4], text[5]
        self.rows = [line.split(self.field_mark) for line in self.segments]

    def field(self, row, n):
        # MSH-1 is the mark itself: its fields count one further.
        n = n - 1 if row[0] == "MSH" else n
        return row[n] if n < len(row) else ""

    def parts(self, row, n):
        return self.field(row, n).split(self.part_mark)

    def all(self, name):
        return [row for row in self.rows if row[0] == name]

    def first(self, name):
        return next(iter(self.all(name)), [name])


def hl7_time(text):
    """Milliseconds since 1970 UTC; None where there is no time. A time without a zone is taken as UTC."""
    found = re.fullmatch(r"(\d{8})(\d{2})(\d{2})(\d{2})?(\.\d+)?([+-]\d{4})?", text.strip())
    if not found:
        return None
    day, hour, minute, second, part, zone = found.groups()
    at = datetime.datetime.strptime(f"{day}{hour}{minute}{second or '00'}{zone or '+0000'}", "%Y%m%d%H%M%S%z")
    return round(at.timestamp() * 1000 + float(part or 0) * 1000)


def lead_of(parts):
    name = parts[1] if len(parts) > 1 else ""
    found = re.fullmatch(r"MDC_ECG_(?:ELEC_POTL|LEAD)_(\w+)", name)
    return CODES.get(parts[0]) or (found.group(1) if found else None)


def millivolts_per_step(unit):
    for part in unit:
        if part.upper() in MILLIVOLTS:
            return MILLIVOLTS[part.upper()]
    raise ValueError(f"the unit {'^'.join(unit)!r} is no voltage")


def near(owner, sub):
    """How many levels of two OBX-4 agree: an attribute belongs to the waveform that it agrees with longest."""
    pairs = zip(owner.split("."), sub.split("."))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(owner.count("."), sub.count(".")) + 1)


def waves(message):
    """The waveforms of a message: lead, rate in Hz, samples in mV (None = missing)."""
    found, rates, steps = [], [], []
    for row in message.all("OBX"):
        what, sub = message.parts(row, 3), message.field(row, 4)
        name = what[1] if len(what) > 1 else ""
        if message.field(row, 2) == "NA" and lead_of(what):
            values = message.field(row, 5).replace(message.repeat_mark, message.part_mark).split(message.part_mark)
            samples = [float(v) if v.strip() else None for v in values]
            found.append((lead_of(what), sub, samples, message.parts(row, 6)))
        elif name == "MDC_ATTR_SAMP_RATE":
            rates.append((sub, float(message.parts(row, 5)[0])))
        elif name == "MDC_ATTR_NU_MSMT_RES":
            steps.append((sub, float(message.parts(row, 5)[0])))
    if not found:
        raise ValueError("no ECG waveform (OBX of type NA with MDC_ECG_ELEC_POTL) in the message")
    if not rates:
        raise ValueError("no sampling rate (MDC_ATTR_SAMP_RATE) in the message")
    for lead, sub, samples, unit in found:
        rate = max(rates, key=lambda r: near(sub, r[0]))[1]
        step = max(steps, key=lambda s: near(sub, s[0]))[1] if steps else 1.0
        scale = step * millivolts_per_step(unit)
        yield lead, rate, [None if v is None else v * scale for v in samples]


class Gateway:
    """Where each bed stands in time."""

    def __init__(self, args):
        self.args, self.beds, self.lock = args, {}, threading.Lock()
        self.name = f"hl7-{os.getpid()}"
        host, port = args.broker.rsplit(":", 1)
        will = (f"wardbeat/v1/{args.site}/_gw/{self.name}/link", b"offline")
        self.mqtt = Mqtt(host, int(port), f"wardbeat-{self.name}", will)

    def bed(self, message):
        place = message.parts(message.first("PV1"), 3) + ["", "", ""]
        clean = [re.sub(r"[^A-Za-z0-9._-]", "-", part.strip()) for part in place]
        unit, bed = self.args.unit or clean[0].lower(), (clean[2] or clean[1]).lower()
        if not unit or not bed:
            raise ValueError("PV1-3 names no unit and bed")
        return f"{self.args.site}/{unit}/{bed}"

    def take(self, message):
        leads = list(waves(message))
        rate, length = leads[0][1], len(leads[0][2])
        if any(r != rate or len(samples) != length for _, r, samples in leads):
            raise ValueError("the leads differ in rate or length")
        bed = self.bed(message)
        at = hl7_time(message.field(message.first("OBR"), 7)) or hl7_time(message.field(message.first("MSH"), 7))
        with self.lock:
            place = self.beds.get(bed)
            if place is None or place["rate"] != rate or place["leads"] != [lead for lead, _, _ in leads]:
                place = self.begin(bed, rate, [lead for lead, _, _ in leads], at)
            expected = place["zero"] + place["next"] * 1000 / rate if at is not None else None
            gap = False
            if expected is not None and at - expected > max(250, length * 500 / rate):
                place["next"], gap = round((at - place["zero"]) * rate / 1000), True
            elif expected is not None and expected - at > 2000:
                place, gap = self.begin(bed, rate, place["leads"], at), False
            frame = {"v": 1, "bed": bed, "epoch": place["epoch"], "seq": place["seq"], "n0": place["next"],
                     "rate_hz": rate, "unit": "mV", "mode": self.args.mode,
                     "flags": {"first": place["seq"] == 0, "gap_before": gap},
                     "leads": {lead: [None if v is None else round(v, 6) for v in mv] for lead, _, mv in leads}}
            if at is not None:
                frame["t0"] = at
            # Counted only once it is sent: the sender of a refused message sends it again.
            self.mqtt.publish(f"wardbeat/v1/{bed}/wave/json", json.dumps(frame))
            place["next"] += length
            place["seq"] += 1

    def begin(self, bed, rate, leads, at):
        place = {"epoch": os.urandom(4).hex(), "seq": 0, "next": 0, "rate": rate, "leads": leads,
                 "zero": at if at is not None else time.time() * 1000}
        self.beds[bed] = place
        birth = {"v": 1, "epoch": place["epoch"], "leads": leads, "rate_hz": rate, "gateway": self.name,
                 "mode": self.args.mode}
        self.mqtt.publish(f"wardbeat/v1/{bed}/meta", json.dumps(birth), keep=True)
        return place

    def answer(self, raw):
        """The acknowledgement of one message, and what went wrong."""
        control, fault, event = "", "", "W01"
        try:
            message = Message(raw)
            head = message.first("MSH")
            control, event = message.field(head, 10), (message.parts(head, 9) + ["", ""])[1] or event
            self.take(message)
        except (ValueError, OSError, KeyError) as e:
            fault = re.sub(r"[|^~\\&\r\n]", " ", str(e))[:200]
            print(f"message {control!r}: {fault}", file=sys.stderr, flush=True)
        now = time.strftime("%Y%m%d%H%M%S+0000", time.gmtime())
        head = f"MSH|^~\\&|WARDBEAT-GATEWAY|{self.args.site}|||{now}||ACK^{event}^ACK|{control}|P|2.6"
        return f"{head}\rMSA|{'AE' if fault else 'AA'}|{control}|{fault}\r".encode()


def serve(gateway, link):
    """One sender: messages between 0x0B and 0x1C 0x0D, an answer for each."""
    waiting = b""
    while True:
        piece = link.recv(65536)
        if not piece:
            return
        waiting += piece
        while END in waiting:
            message, waiting = waiting.split(END, 1)
            if START in message:
                link.sendall(START + gateway.answer(message.rsplit(START, 1)[1]) + END + b"\r")
        if len(waiting) > MESSAGE_BYTES_MAX:
            print("a message over 1 MiB: the sender is dropped", file=sys.stderr, flush=True)
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", required=True)
    parser.add_argument("--unit", help="in place of PV1-3's first part")
    parser.add_argument("--listen", default="127.0.0.1:2575")
    parser.add_argument("--broker", default="127.0.0.1:1883")
    parser.add_argument("--mode", default="real", choices=["real", "test", "demo"])
    args = parser.parse_args()
    gateway = Gateway(args)

    class Sender(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                serve(gateway, self.request)
            except OSError:
                pass

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    host, port = args.listen.rsplit(":", 1)
    with Server((host, int(port)), Sender) as server:
        print(f"listening at {server.server_address[0]}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
