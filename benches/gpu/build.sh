#!/usr/bin/env bash
# Builds wardbeat with the feature `cuda` on a machine without a CUDA toolkit and without a GPU: compiler and libraries
# come as Python wheels into target/cuda, the driver's library is a stub whose every function says "no device".
# With a toolkit installed none of this is needed: cargo build --release --features cuda
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD/target/cuda
mkdir -p "$root/link"

if [ ! -x "$root/venv/bin/python" ]; then
  python3 -m venv "$root/venv"
fi
# 13.0, not newer: later compilers write PTX that drivers of the 580 series cannot load.
"$root/venv/bin/pip" install --quiet --no-deps \
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
  nvidia-cuda-cccl==13.0.85 nvidia-curand==10.4.0.35 'nvidia-cublas==13.1.*' 'nvidia-cuda-nvrtc==13.0.*'
CUDA_HOME=$(echo "$root"/venv/lib/python3*/site-packages/nvidia/cu13)
export CUDA_HOME PATH="$CUDA_HOME/bin:$PATH" NVCC="$CUDA_HOME/bin/nvcc"
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90} CUDAFORGE_THREADS=${CUDAFORGE_THREADS:-2}
# A folder of its own: the ordinary build stays as it is.
export CARGO_TARGET_DIR=$root/build

for name in cublas cublasLt curand nvrtc cudart; do
  library=$(ls "$CUDA_HOME"/lib/lib$name.so.* | head -n 1)
  ln -sf "$library" "$root/link/lib$name.so"
done

# The library needs no linking, so it builds first; what it wants from the driver is read off it.
cargo build --release --features cuda --lib
{
  nm -u "$CARGO_TARGET_DIR"/release/deps/libcudarc-*.rlib 2>/dev/null | awk '$1 == "U" && $2 ~ /^cu[A-Z]/ {print $2}' |
    sort -u | sed 's/.*/int &(void) { return 100; } \/\* CUDA_ERROR_NO_DEVICE \*\//'
} > "$root/stub.c"
cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$root/link/libcuda.so" "$root/stub.c"
ln -sf libcuda.so "$root/link/libcuda.so.1"

LIBRARY_PATH="$root/link" cargo build --release --features cuda
cp "$CARGO_TARGET_DIR/release/wardbeat" "$root/wardbeat"
echo "built $root/wardbeat"
echo "without a GPU it starts with LD_LIBRARY_PATH=$root/link:$CUDA_HOME/lib and falls back to the CPU"
