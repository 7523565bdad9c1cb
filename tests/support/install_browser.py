"""Install Chromium if it is missing."""

import os
import shutil
import subprocess
import sys

from onions.site.browser import NoBrowser, find_chromium


def has_chromium() -> bool:
    try:
        return bool(find_chromium())
    except NoBrowser:
        return False


def install() -> None:
    """Install Chromium: the system's package as root, otherwise Playwright's build."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=quiet)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        if subprocess.run(command, check=False, env=quiet).returncode == 0:
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    if not has_chromium():
        print("Chromium is missing; installing it, to print the PDF and run the tests.", flush=True)
        install()
    if not has_chromium():
        sys.exit("Chromium could not be installed. Install it, and set CHROMIUM to its path.")
