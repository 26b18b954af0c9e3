"""The calls of uv.c, by Python: what each gives must be the same, line by line."""

import ctypes
import fcntl
import os
import struct
import subprocess
import sys


def uv(number, direction=3, kind=0x75, size=64):
    return direction << 30 | size << 16 | kind << 8 | number


BUFFER = ctypes.create_string_buffer(0x8000)
ADDRESS = ctypes.addressof(BUFFER)


def block(address, length, flags=0, last=0):
    return bytearray(struct.pack("=IHHQI43xB", flags, 0, 0, address, length, last))


def call_block(name, file, request, argument):
    try:
        fcntl.ioctl(file, request, argument)
    except OSError as error:
        print(f"{name}: {error.strerror}")
    else:
        print(f"{name}: rc {struct.unpack_from('=H', argument, 4)[0]:04x}")


def call(name, file, request, address, length):
    call_block(name, file, request, block(address, length))


def list_says(file, name, expected):
    ctypes.memset(BUFFER, 0xFF, len(BUFFER))
    control = block(ADDRESS, 0x1000)
    result = fcntl.ioctl(file, uv(3), control)
    total = struct.unpack_from(">H", BUFFER.raw, 2)[0]
    verdict = "as many as expected" if total == expected else "another number of secrets"
    print(f"{name}: {result}, rc {struct.unpack_from('=H', control, 4)[0]:04x}, {verdict}")


def attest(arcb, reserved=0):
    packed = struct.pack("=QQQ256x16xIIIHH", arcb, ADDRESS, 0, 0x100, 64, 0, 0, reserved)
    return ctypes.create_string_buffer(packed, len(packed))


if len(sys.argv) == 2:
    list_says(int(sys.argv[1]), "list after exec", 0)
    sys.exit()

file = os.open("/dev/uv", os.O_RDWR)
call("info", file, uv(0), ADDRESS, 16)
print("commands: {:x}, ultravisor's: {:x}".format(*struct.unpack_from("=QQ", BUFFER.raw)))
call("info, short", file, uv(0), ADDRESS, 15)
call("info, unreadable address", file, uv(0), 0x10, 16)
call_block("info, flags", file, uv(0), block(ADDRESS, 16, flags=1))
call_block("info, reserved", file, uv(0), block(ADDRESS, 16, last=1))
call_block("info, no control block", file, uv(0), 0x10)
call("nr too high", file, uv(6), ADDRESS, 16)
call("other type", file, uv(0, kind=0x76), ADDRESS, 16)
call("other direction", file, uv(0, direction=1), ADDRESS, 16)
call("other size", file, uv(0, size=4), ADDRESS, 16)
call("add, no length", file, uv(2), ADDRESS, 0)
call("add, too long", file, uv(2), ADDRESS, 0x100001)
call("add, unreadable address", file, uv(2), 0x10, 0x100)
ctypes.memset(BUFFER, 0, len(BUFFER))
call("add, nonsense", file, uv(2), ADDRESS, 0x100)
wrong, right, odd = attest(0x10), attest(ADDRESS), attest(ADDRESS, reserved=1)
call("attest, other length", file, uv(1), ctypes.addressof(wrong), len(wrong) - 1)
call("attest, unreadable request", file, uv(1), ctypes.addressof(wrong), len(wrong))
call("attest, nonsense", file, uv(1), ctypes.addressof(right), len(right))
call("attest, reserved", file, uv(1), ctypes.addressof(odd), len(odd))
list_says(file, "list", 0)
call("list, four pages", file, uv(3), ADDRESS, 0x4000)
call("list, not whole pages", file, uv(3), ADDRESS, 0x1001)
call("list, unwritable address", file, uv(3), 0x10, 0x1000)
call("retrieve from nothing", file, uv(5), ADDRESS, 32)
call("retrieve, too short", file, uv(5), ADDRESS, 1)
call("retrieve, too long", file, uv(5), ADDRESS, 0x2001)
try:
    os.write(file, b"x")
    print("write: accepted")
except OSError as error:
    print(f"write: {error.strerror}")

other = os.dup2(file, 77)
os.close(file)
list_says(other, "list after dup2", 0)
sys.stdout.flush()
if os.fork() == 0:
    list_says(other, "list after fork", 0)
    sys.stdout.flush()
    os._exit(subprocess.call([sys.executable, sys.argv[0], "77"], pass_fds=[77]))
os.wait()

call("lock, with argument", other, uv(4), ADDRESS, 1)
call("lock", other, uv(4), 0, 0)
call("lock again", other, uv(4), 0, 0)
ctypes.memset(BUFFER, 0, len(BUFFER))
call("add to the locked store", other, uv(2), ADDRESS, 0x100)
