"""How a page's kernel is started: what can change its outputs, and is the same on every machine.

A kernel gets no other environment variables except paths. Your own settings, such as TZ or
TF_ENABLE_ONEDNN_OPTS, therefore change no output.
"""

from onions.base.hashes import hash_json

# Part of each fingerprint. Raise it if other code changes how a kernel is started or driven, or how
# its outputs are stored.
VERSION = 2

ARGUMENTS = [
    "--IPKernelApp.capture_fd_output=False",  # output of C++ code goes to the log, not to the page
]

# One thread, however many pages run and however many cores there are: more threads add floats in
# another order. It costs little, since small networks can't keep several cores busy.
THREADS = dict.fromkeys(
    (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    ),
    "1",
)
VARIABLES = {
    **THREADS,
    "KERAS_BACKEND": "tensorflow",
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # pages share a GPU
    "TZ": "UTC",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def recipe_hash() -> str:
    """Return a hash of everything in this module that can change a page's outputs."""
    return hash_json([VERSION, ARGUMENTS, VARIABLES])
