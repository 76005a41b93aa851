#!/usr/bin/env bash
# Proves a wardbeat built with the feature `cuda` on the machine at hand: results against the CPU, windows per second by
# batch size, beds sustained, training, memory. Needs the built program and nothing else; writes one JSON report.
#
#   benches/gpu/proof.sh                          target/cuda/wardbeat on the GPU, report in docs/reports/gpu.json
#   benches/gpu/proof.sh --program DIR/wardbeat   another program; libraries in DIR/lib are found by themselves
#   benches/gpu/proof.sh --device cpu             a dry run of the same code on the CPU, small sizes
#   benches/gpu/proof.sh --data ptbxl             times a real training epoch
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$here/../../target/cuda/wardbeat
report=
device=cuda
more=()
while [ $# -gt 0 ]; do
  case $1 in
    --program) program=$2 ;;
    --report) report=$2 ;;
    --device) device=$2 ;;
    --data) more+=(--data "$2") ;;
    *) echo "unknown: $1; see the head of $0" >&2; exit 2 ;;
  esac
  shift 2
done
if [ "$device" = cpu ]; then
  # candle on the CPU runs the very code that runs on a GPU.
  device=candle
  more+=(--quick)
  report=${report:-${TMPDIR:-/tmp}/gpu-dry-run.json}
fi
report=${report:-$here/../../docs/reports/gpu.json}
mkdir -p "$(dirname "$report")"

# CUDA's libraries: beside the program, in a toolkit, or in a Python's packages. The driver's own are the system's.
folders=("$(dirname "$program")/lib" /usr/local/cuda/lib64)
for python in python3 python; do
  if found=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null); then
    folders+=("$found"/nvidia/cu13/lib)
  fi
done
if [ "$device" = candle ]; then
  # The build's stub in the driver's place: no GPU is asked for.
  folders+=("$here/../../target/cuda/link" "$here"/../../target/cuda/venv/lib/python3*/site-packages/nvidia/cu13/lib)
fi
for folder in "${folders[@]}"; do
  [ -d "$folder" ] && LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
missing=$(ldd "$program" | awk '/not found/ {print $1}' | tr '\n' ' ')
if [ -n "$missing" ]; then
  echo "$program does not start here, missing: $missing; docs/gpu.md says where they come from" >&2
  exit 1
fi

command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv || true
"$program" prove --device "$device" --json "$report" ${more[@]+"${more[@]}"}

# The whole program for half a minute: nothing may be lost and the device must be the one asked for.
summary=$(mktemp)
log=$(mktemp)
trap 'rm -f "$summary" "$log"' EXIT
daemon=$device
[ "$device" = candle ] && daemon=auto
"$program" demo --headless --device "$daemon" --beds 32 --seconds 30 --summary "$summary" >/dev/null 2>"$log"
grep -m 1 started "$log" || true
grep -q '"frames_lost": 0' "$summary" || { echo "the demo lost frames:"; cat "$summary"; exit 1; }
if [ "$device" = cuda ] && ! grep started "$log" | grep -q 'engine="cuda"'; then
  echo "the demo did not run on the GPU"; exit 1
fi
cat "$summary"
echo "report: $report"
