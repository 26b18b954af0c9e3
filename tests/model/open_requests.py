"""Opens add-secret requests as the firmware does, written from the format and not from our code.

open_requests.py HOST-KEY.pem REQUEST...: a line for each with the kind of secret, the kind of user data, the secret, the
extension secret (both hexadecimal), and whether the reserved part is zero. Needs Python's module cryptography.
"""

import sys
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

USER_DATA, CUSTOMER_KEY, KEY_SLOTS = 0x218, 0x418, 0x4B8
TAG, COORDINATE, SLOT = 16, 80, 80


def number(data):
    return int.from_bytes(data, "big")


def coordinates(key):
    point = key.public_numbers()
    return point.x.to_bytes(COORDINATE, "big") + point.y.to_bytes(COORDINATE, "big")


def opened(request, host):
    assert request[:6] == b"asrcbM" and number(request[12:16]) == len(request)
    slots, encrypted = request[0x27], number(request[0x2C:0x30])
    authenticated = request[: len(request) - TAG - encrypted]
    x, y = (number(authenticated[at : at + COORDINATE]) for at in (CUSTOMER_KEY, CUSTOMER_KEY + COORDINATE))
    customer = ec.EllipticCurvePublicNumbers(x, y, ec.SECP521R1()).public_key()
    wrapping = AESGCM(sha256(host.exchange(ec.ECDH(), customer) + (1).to_bytes(4, "big")).digest())
    whose = sha256(coordinates(host.public_key())).digest()
    header = KEY_SLOTS + slots * SLOT
    [slot] = [
        authenticated[at : at + SLOT] for at in range(KEY_SLOTS, header, SLOT) if authenticated[at : at + 32] == whose
    ]
    protection = AESGCM(wrapping.decrypt(bytes(12), slot[32:], None))
    plain = protection.decrypt(request[0x10:0x1C], request[len(authenticated) :], authenticated)
    kind, length = number(authenticated[header + 2 : header + 4]), number(authenticated[header + 4 : header + 8])
    return (
        kind,
        number(request[6:8]),
        plain[:length].hex(),
        plain[length : length + 32].hex(),
        not any(authenticated[0x118:USER_DATA]),
    )


key = load_pem_private_key(Path(sys.argv[1]).read_bytes(), None)
for file in sys.argv[2:]:
    print(*opened(Path(file).read_bytes(), key))
