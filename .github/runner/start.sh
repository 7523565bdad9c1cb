#!/usr/bin/env bash
# Test this machine, or register it as a runner and wait for jobs.
#
#     start.sh test https://github.com/OWNER/NAME
#     TOKEN=… start.sh register https://github.com/OWNER/NAME
set -euo pipefail

what=${1:?missing. Pass test or register.} url=${2:?missing. Pass the URL of the repository.}
nvidia-smi -L || {
  echo 'No NVIDIA GPU found. Start the container with `--gpus all`, on a host with an NVIDIA driver' \
    'and the NVIDIA Container Toolkit.'
  exit 1
} >&2

case $what in
  test)
    echo "Runner $(./config.sh --version), $(python3 --version)"
    git clone --depth 1 "$url" book
    cd book
    make install LOCK=requirements-gpu.lock
    ONIONS_DATA=sketches .venv/bin/onions execute --profile smoke
    .venv/bin/onions status
    ;;
  register)
    # A container that starts again, as after a reboot, is registered.
    [ -f .runner ] || ./config.sh --unattended --replace --labels gpu --url "$url" --token "${TOKEN:?missing. Copy it from Settings, Actions, Runners in the repository.}"
    unset TOKEN
    exec ./run.sh
    ;;
  *)
    echo "$what: unknown command. Pass test or register." >&2
    exit 2
    ;;
esac
