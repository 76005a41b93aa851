#!/usr/bin/env bash
# Makes target/peers/venv with the engines that Wardbeat is measured against: ONNX Runtime and OpenVINO (about 400 MB),
# and with --torch also PyTorch (about 5 GB, for the training step).
# Example: benches/peers/setup.sh --torch && cargo bench --bench table -- --torch
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=target/peers/venv
mkdir -p target/peers
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check 'numpy>=2' 'onnxruntime>=1.20' 'openvino>=2025.0'
if [ "${1:-}" = --torch ]; then
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'torch>=2.5'
fi
"$venv/bin/python" benches/peers/serve.py versions
