"""The engines that Wardbeat is measured against, behind one line protocol, so that a bench can take turns with them.

serve.py versions                        what is installed
serve.py check MODEL FOLDER              largest relative error of ONNX Runtime against FOLDER's taps and logits
serve.py infer THREADS MODEL FOLDER      windows:        a line `ENGINE N` in, `ENGINE: wall_ms/cpu_ms ...` out
serve.py train MANIFEST BATCH TIME AUX   training steps: a line `FORM THREADS N` in, `wall_ms/cpu_ms ...` out

FOLDER holds what Wardbeat computed, raw little-endian f32: x [12, time], mask [12], taps [channel, step],
logits [class, step]. CPU time is the whole process's, whatever threads an engine keeps.
"""

import json
import os
import sys
import time

import numpy as np


def say(text):
    print(text, flush=True)


def timed(call, n):
    pairs = []
    for _ in range(n):
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        call()
        wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
        pairs.append(f"{wall / 1e6:.5f}/{cpu / 1e6:.5f}")
    return " ".join(pairs)


def floats(folder, name, rows):
    return np.fromfile(os.path.join(folder, name + ".f32"), dtype="<f4").reshape(1, rows, -1)


class Reference:
    def __init__(self, folder):
        self.x = floats(folder, "x", 12)
        self.mask = floats(folder, "mask", 12).reshape(1, 12)
        self.folder = folder

    def error(self, taps, logits):
        worst = 0.0
        for name, found in (("taps", taps), ("logits", logits)):
            expected = floats(self.folder, name, found.shape[1])
            worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
        return worst


def onnxruntime_engine(model, reference, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Fixed lengths are its fastest form.
    options.add_free_dimension_override_by_name("n", 1)
    options.add_free_dimension_override_by_name("time", reference.x.shape[2])
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input("x", reference.x)
    binding.bind_cpu_input("mask", reference.mask)
    for name in ("taps", "logits"):
        binding.bind_output(name, "cpu")
    session.run_with_iobinding(binding)
    error = reference.error(*binding.copy_outputs_to_cpu())
    return lambda: session.run_with_iobinding(binding), error


def openvino_engine(model, reference, threads, precision):
    import openvino as ov

    core = ov.Core()
    network = core.read_model(model)
    network.reshape({"x": list(reference.x.shape), "mask": [1, 12]})
    # One stream, latency first: one window at a time on these threads.
    compiled = core.compile_model(
        network,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        },
    )
    request = compiled.create_infer_request()
    request.set_tensor("x", ov.Tensor(reference.x))
    request.set_tensor("mask", ov.Tensor(reference.mask))
    request.infer()
    error = reference.error(request.get_tensor("taps").data, request.get_tensor("logits").data)
    return request.infer, error


def infer(threads, model, folder):
    reference = Reference(folder)
    engines = {}
    for name, make in (
        ("openvino_f32", lambda: openvino_engine(model, reference, threads, "f32")),
        ("onnxruntime", lambda: onnxruntime_engine(model, reference, threads)),
        ("openvino_bf16", lambda: openvino_engine(model, reference, threads, "bf16")),
    ):
        try:
            engines[name], error = make()
            say(f"engine {name} {error:.3e}")
        except Exception as fault:  # One that is missing or fails does not take the others with it.
            say(f"absent {name} {type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}")
    say("ready")
    for line in sys.stdin:
        name, n = line.split()
        say(timed(engines[name], int(n)))


def check(model, folder):
    _, error = onnxruntime_engine(model, Reference(folder), 1)
    say(f"{error:.3e}")
    sys.exit(0 if error < 1e-4 else 1)


def trainer(form, manifest, batch, length, auxiliary):
    """The network of the manifest in training mode, the same loss, clipping, AdamW and averaged weights."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    wide = form == "2d"
    spec = json.load(open(manifest))["network"]
    classes = len(spec["classes"])

    def conv(cin, cout, taps, stride=1, dilation=1):
        pad = (taps - 1) // 2 * dilation
        if wide:
            shape = dict(kernel_size=(1, taps), stride=(1, stride), padding=(0, pad), dilation=(1, dilation))
            return nn.Conv2d(cin, cout, bias=False, **shape)
        return nn.Conv1d(cin, cout, taps, stride, pad, dilation, bias=False)

    norm = nn.BatchNorm2d if wide else nn.BatchNorm1d

    class Block(nn.Module):
        def __init__(self, cin, b):
            super().__init__()
            cout = b["channels"]
            self.conv1 = conv(cin, cout, b["taps"], b["stride"], b["dilation"])
            self.conv2 = conv(cout, cout, b["taps"], 1, b["dilation"])
            self.norm1, self.norm2 = norm(cout), norm(cout)
            self.skip = conv(cin, cout, 1, b["stride"]) if cin != cout or b["stride"] > 1 else nn.Identity()
            self.drop = nn.Dropout(b["dropout"]) if b["dropout"] > 0 else nn.Identity()

        def forward(self, x):
            h = self.drop(F.relu(self.norm1(self.conv1(x)), inplace=True))
            return F.relu(self.norm2(self.conv2(h)).add_(self.skip(x)), inplace=True)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            c = spec["stem_channels"]
            self.stem = conv(12, c, spec["stem_taps"], spec["stem_stride"])
            self.lead = nn.Linear(12, c, bias=False)
            self.norm = norm(c)
            blocks = []
            for b in spec["blocks"]:
                blocks.append(Block(c, b))
                c = b["channels"]
            self.blocks = nn.Sequential(*blocks)
            self.drop = nn.Dropout(0.3)
            self.head, self.auxiliary = nn.Linear(c, classes), nn.Linear(c, auxiliary)

        def forward(self, x, mask):
            term = self.lead(mask)
            term = term[:, :, None, None] if wide else term[:, :, None]
            y = F.relu(self.norm(self.stem(x) + term), inplace=True)
            y = self.blocks(y)
            y = self.drop(y.mean((2, 3) if wide else 2))
            return self.head(y), self.auxiliary(y)

    torch.manual_seed(1)
    net = Net().train()
    x = torch.randn(batch, 12, length)
    if wide:
        x = x[:, :, None, :].to(memory_format=torch.channels_last)
        net = net.to(memory_format=torch.channels_last)
    mask = torch.ones(batch, 12)
    y = (torch.rand(batch, classes) < 0.3).float()
    said = (torch.rand(batch, auxiliary) < 0.05).float()
    decayed = [p for p in net.parameters() if p.dim() > 1]
    plain = [p for p in net.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    mean = [p.detach().clone() for p in net.parameters()]

    def step():
        logits, other = net(x, mask)
        loss = F.binary_cross_entropy_with_logits(logits, y)
        loss = loss + 2.0 * F.binary_cross_entropy_with_logits(other, said)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(mean, list(net.parameters()), 0.001)

    return step


def train(manifest, batch, length, auxiliary):
    import torch

    steps = {form: trainer(form, manifest, batch, length, auxiliary) for form in ("1d", "2d")}
    for form, step in steps.items():
        step()
        say(f"engine torch_{form} 0")
    say("ready")
    for line in sys.stdin:
        form, threads, n = line.split()
        torch.set_num_threads(int(threads))
        say(timed(steps[form], int(n)))


def versions():
    for name in ("onnxruntime", "openvino", "torch"):
        try:
            module = __import__(name)
            say(f"{name} {module.__version__}")
        except ImportError:
            say(f"{name} absent")


if __name__ == "__main__":
    what, rest = sys.argv[1], sys.argv[2:]
    if what == "versions":
        versions()
    elif what == "check":
        check(*rest)
    elif what == "infer":
        infer(int(rest[0]), rest[1], rest[2])
    elif what == "train":
        train(rest[0], *map(int, rest[1:4]))
    else:
        sys.exit(__doc__)
