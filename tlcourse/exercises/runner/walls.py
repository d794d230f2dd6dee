"""What Linux itself refuses a process, in whatever language its code is written: files by Landlock, calls by seccomp.

Both ask for no rights and are never taken back. Landlock (Linux 5.13, 2021) lets a process see only the folders that
it names; seccomp (Linux 3.17, 2014) takes a small program that looks at every call into the system.

Source: https://docs.kernel.org/userspace-api/landlock.html, https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import contextlib
import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterator, Sequence

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
MAKE_DEVICES = 1 << 6 | 1 << 9 | 1 << 11  # character devices, sockets, block devices
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15  # the last two: truncate, device commands
RIGHTS_UP_TO = {1: 13, 2: 14, 3: 15, 4: 15}  # how many file rights a version of Landlock knows; 16 from the fifth on
NO_NEW_PRIVILEGES, SECCOMP, FILTER, ALL_THREADS = 38, {"x86_64": 317, "aarch64": 277}, 1, 1
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions of the little program
ALLOW, REFUSE, UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
NUMBER, MACHINE, FIRST, SECOND, THIRD = 0, 4, 16, 24, 32  # where a call's number, machine and arguments are
NEW_THREAD = 0x10000  # the flag of `clone` that makes a thread and not a process

# Calls by their numbers on x86_64 and on aarch64; -1 where a machine has none.
REFUSED = {
    # other programs and processes
    **{"fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117)},
    **{"process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434)},
    **{"pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "tkill": (200, 130)},
    **{"rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140)},
    **{"sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "setrlimit": (160, 164)},
    # the network, and other ways to meet processes
    **{"socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242), "bind": (49, 200)},
    **{"listen": (50, 201), "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190)},
    **{"mq_open": (240, 180), "mq_unlink": (241, 181), "io_uring_setup": (425, 425), "memfd_create": (319, 279)},
    # what files are apart from their content: Landlock does not look after that
    **{"chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1)},
    **{"fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1)},
    **{"futimesat": (261, -1), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6)},
    **{"fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16)},
    # the machine: an ordinary account may not do these anyway, but a grader in a container often runs as root
    **{"mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97)},
    **{"setns": (308, 268), "fsopen": (430, 430), "open_tree": (428, 428), "move_mount": (429, 429)},
    **{"mount_setattr": (442, 442), "open_by_handle_at": (304, 265), "reboot": (169, 142), "swapon": (167, 224)},
    **{"swapoff": (168, 225), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171)},
    **{"clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162), "acct": (163, 89)},
    **{"quotactl": (179, 60), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "bpf": (321, 280), "perf_event_open": (298, 241)},
    **{"userfaultfd": (323, 282), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    **{"iopl": (172, -1), "ioperm": (173, -1), "personality": (135, 92), "syslog": (103, 116)},
}
CLONE, CLONE3, KILL, TGKILL, PRLIMIT = (56, 220), (435, 435), (62, 129), (234, 131), (302, 261)
# Commands that make the system send signals to somebody else: fcntl's F_SETOWN, F_SETSIG, F_SETOWN_EX and their twins.
OWNERS = [((72, 25), command) for command in (8, 10, 15)] + [((16, 29), command) for command in (0x8901, 0x8902)]
SCOPES = 1 << 0 | 1 << 1  # from Landlock's sixth version on: no abstract sockets and no signals to the outside


def raise_walls(home: str, readable: Sequence[str], closed: Sequence[str]) -> list[str]:
    """Let the system refuse this process everything outside, for the rest of its life; call it before threads start.

    Only `home` may be changed, and only `readable` may be read, but not `closed` below it. Returns `"files"` and
    `"calls"`, as far as this system knows them.
    """
    machine, standing = platform.machine(), []
    if sys.platform != "linux" or machine not in ARCHITECTURE or sys.maxsize < 2**32:
        return standing
    with contextlib.suppress(OSError):
        _call_prctl(NO_NEW_PRIVILEGES, 1)
        _close_files(home, readable, closed)
        standing.append("files")
    with contextlib.suppress(OSError):
        _close_calls(machine)
        standing.append("calls")
    return standing


def _close_files(home: str, readable: Sequence[str], closed: Sequence[str]) -> None:
    """Landlock: name what may be seen; nothing else can be opened, made, moved or removed."""
    version = _system(CREATE_RULESET, None, 0, 1)
    everything = (1 << RIGHTS_UP_TO.get(version, 16)) - 1
    handled = struct.pack("<QQQ", everything, 0, SCOPES) if version >= 6 else struct.pack("<Q", everything)
    rules = _system(CREATE_RULESET, handled, len(handled), 0)
    _allow(rules, home, everything & ~(EXECUTE | MAKE_DEVICES))
    for path in readable:
        for place, rights in _without(path, closed):
            _allow(rules, place, rights)
    _allow(rules, "/dev/null", READ_FILE | WRITE_FILE)
    _system(RESTRICT_SELF, rules, 0)
    os.close(rules)


def _without(path: str, closed: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Divide a folder into parts that can be given away, so that those which are closed are not among them."""
    if path in closed or not os.path.exists(path) or os.path.islink(path):
        return
    if not any(inside.startswith(path.rstrip("/") + "/") for inside in closed):
        yield path, READ_FILE | READ_DIR
        return
    yield path, READ_DIR  # the names in it, which Python needs to find modules
    for name in os.listdir(path):
        yield from _without(os.path.join(path, name), closed)


def _allow(rules: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rights &= -1 if stat.S_ISDIR(os.fstat(place).st_mode) else FILE_RIGHTS
            _system(ADD_RULE, rules, 1, struct.pack("<Qi", rights, place), 0)
        finally:
            os.close(place)


def _close_calls(machine: str) -> None:
    """Seccomp: refuse calls that start programs, reach other processes or the network, or change the machine."""
    program = b"".join(struct.pack("<HBBI", *step) for step in _program(machine, os.getpid()))
    steps = ctypes.create_string_buffer(program)
    described = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(steps))
    _system(SECCOMP[machine], FILTER, ALL_THREADS, described)


def _program(machine: str, me: int) -> list[tuple[int, int, int, int]]:
    """Return the steps: what to do, how many steps to skip if so and if not, and with which number."""
    column = sorted(ARCHITECTURE).index(machine) ^ 1  # x86_64 first
    steps = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, ARCHITECTURE[machine]), (RETURN, 0, 0, REFUSE), (LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":  # the same calls under other numbers
        steps += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, REFUSE)]
    for numbers in REFUSED.values():
        if numbers[column] >= 0:
            steps += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, REFUSE)]
    steps += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, UNKNOWN)]  # then the C library asks for `clone` instead
    for numbers, command in OWNERS:
        steps += [(EQUAL, 0, 4, numbers[column]), (LOAD, 0, 0, SECOND), (EQUAL, 0, 1, command), (RETURN, 0, 0, REFUSE)]
        steps += [(LOAD, 0, 0, NUMBER)]
    steps += _only(CLONE[column], [(FIRST, ANY_BIT, NEW_THREAD)])
    steps += _only(KILL[column], [(FIRST, EQUAL, me)]) + _only(TGKILL[column], [(FIRST, EQUAL, me)])
    steps += _only(PRLIMIT[column], [(THIRD, EQUAL, 0), (THIRD + 4, EQUAL, 0)])  # ask for limits, but not set them
    return [*steps, (RETURN, 0, 0, ALLOW)]


def _only(number: int, conditions: list[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    steps = [(EQUAL, 0, 3 * len(conditions) + 1, number)]
    for where, test, value in conditions:
        steps += [(LOAD, 0, 0, where), (test, 1, 0, value), (RETURN, 0, 0, REFUSE)]
    return [*steps, (RETURN, 0, 0, ALLOW)]


def _system(number: int, *arguments: int | bytes | None) -> int:
    result = _c_library().syscall(ctypes.c_long(number), *[_as_c(argument) for argument in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), f"call {number} is refused or unknown here")
    return result


def _call_prctl(option: int, value: int) -> None:
    if _c_library().prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"option {option} is refused or unknown here")


def _as_c(argument: int | bytes | None) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
