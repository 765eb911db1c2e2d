"""A clock that is wrong, for a process and all that it starts: a library before the system's own."""

import shutil
import subprocess
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long wrong_by(void) {
    const char *seconds = getenv("WRONG_BY_S");
    return seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*right)(clockid_t, struct timespec *);
    if (!right) right = dlsym(RTLD_NEXT, "clock_gettime");
    int answer = right(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += wrong_by();
    return answer;
}

int gettimeofday(struct timeval *now, void *zone) {
    static int (*right)(struct timeval *, void *);
    if (!right) right = dlsym(RTLD_NEXT, "gettimeofday");
    int answer = right(now, zone);
    now->tv_sec += wrong_by();
    return answer;
}

time_t time(time_t *now) {
    struct timespec read;
    clock_gettime(CLOCK_REALTIME, &read);
    if (now) *now = read.tv_sec;
    return read.tv_sec;
}
"""


def wrong_clock(folder: Path) -> dict[str, str]:
    """The environment in which $WRONG_BY_S counts; empty where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return {}
    library = folder / "wrong_clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(command, input=_SOURCE, text=True, check=True, capture_output=True)
    return {"LD_PRELOAD": str(library)}
