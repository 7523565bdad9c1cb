#!/usr/bin/env bash
# Test the machine, or register it as a runner and wait for jobs.
#
#     start.sh test https://github.com/OWNER/NAME
#     TOKEN=… start.sh register https://github.com/OWNER/NAME
set -euo pipefail

what=${1:?test or register} url=${2:?the address of the repository}
nvidia-smi -L || {
  echo 'No NVIDIA GPU answers. Start the container with `--gpus all`, which needs a driver and' \
    "NVIDIA's container toolkit on the machine."
  exit 1
} >&2

case $what in
  test)
    git clone --depth 1 "$url" book
    cd book
    make install LOCK=requirements-gpu.lock
    ONIONS_DATA=sketches .venv/bin/onions execute --profile smoke
    .venv/bin/onions status
    ;;
  register)
    ./config.sh --unattended --replace --labels gpu --url "$url" --token "${TOKEN:?from the settings}"
    unset TOKEN
    exec ./run.sh
    ;;
  *)
    echo "$what: neither test nor register" >&2
    exit 2
    ;;
esac
