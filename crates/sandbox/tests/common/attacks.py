"""Attacks a task might try, one per name; judged from outside, or by a line that says what was got."""
import ctypes, os, socket, sys

OUT, SECRET = os.environ["OUT"], os.environ["SECRET"]
PORT, VICTIM = int(os.environ["PORT"]), int(os.environ["VICTIM"])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def got(what):
    print("GOT", what, flush=True)


def syscall(name, number, *arguments):
    if libc.syscall(ctypes.c_long(number), *arguments) >= 0:
        got(name)


def tcp():
    socket.create_connection(("127.0.0.1", PORT), timeout=2).send(b"tcp")


def mptcp():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    s.connect(("127.0.0.1", PORT))


def fastopen():
    socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", PORT))


def udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"udp", ("127.0.0.1", PORT))


def udp6():
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"udp", ("::1", PORT))


def unix_abstract():
    socket.socket(socket.AF_UNIX).connect("\0deskhand-%d" % PORT)


def unix_path():
    socket.socket(socket.AF_UNIX).connect(OUT + "/socket")


def unix_datagram():
    socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", OUT + "/datagrams")


def set_user_id():
    open("as-owner", "w").close()
    os.chmod("as-owner", 0o4755)
    if os.stat("as-owner").st_mode & 0o4000:
        got("set_user_id")


def packet():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    got("packet")


def netlink_audit():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
    got("netlink_audit")


def vsock():
    socket.socket(40, socket.SOCK_STREAM)
    got("vsock")


def xattr():
    os.setxattr(OUT + "/file", "user.deskhand", b"x")


def environ():
    got(open("/proc/%d/environ" % VICTIM).read())


def cmdlines():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(pid) == VICTIM and b"sleep" in open("/proc/%s/cmdline" % pid, "rb").read():
                got("cmdline")
        except OSError:
            pass


def victim_root():
    got(open("/proc/%d/root%s" % (VICTIM, SECRET)).read())


def secret_by_self_root():
    got(open("/proc/self/root" + SECRET).read())


def secret_by_link():
    os.link(SECRET, "taken")
    got(open("taken").read())


def secret_by_symlink():
    os.symlink(SECRET, "pointer")
    got(open("pointer").read())


def secret_by_rename():
    os.rename(os.path.dirname(SECRET), os.path.dirname(SECRET) + "2")
    got(open(os.path.dirname(SECRET) + "2/key").read())


def disk():
    for name in os.listdir("/dev"):
        path = "/dev/" + name
        try:
            import stat
            if stat.S_ISBLK(os.stat(path).st_mode):
                open(path, "rb").read(512)
                got("disk")
        except OSError:
            pass


def ptrace():
    syscall("ptrace", 101, 0, 0, 0, 0)


def process_vm():
    buffer = ctypes.create_string_buffer(8)

    class Vec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    vec = Vec(ctypes.cast(buffer, ctypes.c_void_p), 8)
    syscall("process_vm", 310, os.getpid(), ctypes.byref(vec), 1, ctypes.byref(vec), 1, 0)


def io_uring():
    syscall("io_uring", 425, 1, ctypes.create_string_buffer(120))


def new_user_namespace():
    syscall("unshare", 272, 0x10000000)


def clone_user_namespace():
    pid = libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid > 0:
        got("clone")


def keyring():
    syscall("keyctl", 250, 0, -3, 1)


def add_key():
    syscall("add_key", 248, b"user", b"deskhand", b"x", 1, -2)


def userfaultfd():
    syscall("userfaultfd", 323, 1)


def perf():
    attr = (ctypes.c_uint32 * 32)(1, 128)
    syscall("perf_event_open", 298, attr, 0, -1, -1, 0)


def bpf():
    attr = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    syscall("bpf", 321, 0, attr, 128)


def mount():
    syscall("mount", 165, b"none", b"/mnt", b"tmpfs", 0, 0)


def chroot():
    syscall("chroot", 161, b"/")


def x32():
    # The first call of the other table; with the bit set the filter's numbers would all miss.
    if libc.syscall(ctypes.c_long(0x40000000 | 39)) >= 0:
        got("x32")


def personality():
    syscall("personality", 135, 0x0040000)


def sysctl():
    path = "/proc/sys/kernel/printk_ratelimit_burst"
    value = int(open(path).read())
    open(path, "w").write(str(value + 1))
    got("sysctl")
    open(path, "w").write(str(value))


def sysfs():
    for path in ["/sys/kernel/mm/ksm/sleep_millisecs", "/sys/kernel/mm/transparent_hugepage/khugepaged/defrag"]:
        open(path, "r+").write("")
        got("sysfs")


def capabilities():
    status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]:
        if os.getuid() == 0 and int(status[field], 16):
            got(field)
    if status["NoNewPrivs"].strip() != "1":
        got("NoNewPrivs")


def kill_victim():
    os.kill(VICTIM, 9)


def kill_all():
    os.kill(-1, 9)


def kill_parent():
    os.kill(os.getppid(), 9)


try:
    globals()[sys.argv[1]]()
except OSError as error:
    print(error, file=sys.stderr)
