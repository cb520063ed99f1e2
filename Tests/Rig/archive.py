"""The shipped log as its format page tells it (docs/formats/repository.md), by a key file and by no code of ours: what a stretch holds, and
of when. AES is OpenSSL's, LZ4 is liblz4's.
"""

import ctypes
import ctypes.util
import hashlib
import hmac
import os
import struct

TAG, FOOT, HEADER = 16, 16, 96
CLOSING = 0xFFFFFFFF
GCM_SET_TAG = 0x11
BLANK = 1
# Where a record says its length, its kind and its leader's time (docs/formats/record.md).
RECORD_LENGTH, RECORD_KIND, RECORD_TIME = 4, 8, 40

crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
crypto.EVP_CIPHER_CTX_new.restype = crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p
lz4 = ctypes.CDLL(ctypes.util.find_library("lz4"))


class Unreadable(Exception):
    """It does not open: another key, or other bytes than were put."""


def hkdf(key, salt, info):
    """RFC 5869, of 32 bytes; no salt is 32 zeros."""
    drawn = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(drawn, info + b"\1", "sha256")


def opened(key, number, sealed, bound=b""):
    """AES-256-GCM; the nonce is the piece's number and eight zeros."""
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    plain, length = ctypes.create_string_buffer(max(1, len(sealed))), ctypes.c_int()
    try:
        crypto.EVP_DecryptInit_ex(context, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, key,
                                  struct.pack("<I8x", number))
        if bound:
            crypto.EVP_DecryptUpdate(context, None, ctypes.byref(length), bound, len(bound))
        crypto.EVP_DecryptUpdate(context, plain, ctypes.byref(length), sealed[:-TAG], len(sealed) - TAG)
        crypto.EVP_CIPHER_CTX_ctrl(context, GCM_SET_TAG, TAG, sealed[-TAG:])
        if crypto.EVP_DecryptFinal_ex(context, ctypes.create_string_buffer(TAG), ctypes.byref(length)) != 1:
            raise Unreadable("it does not open")
        return plain.raw[:len(sealed) - TAG]
    finally:
        crypto.EVP_CIPHER_CTX_free(context)


def key_file(path):
    with open(path, encoding="utf-8") as file:
        words = dict(line.split() for line in file if line.strip() and not line.startswith("#"))
    return words["tenant"], bytes.fromhex(words["secret"])


def unwrapped(wrap, secret):
    return opened(hkdf(secret, wrap[:32], b"holdfast wrap 1"), 0, wrap[40:])


def epoch_keys(ring, secret):
    """The keys of all epochs that a ring holds, from 1 on."""
    count = struct.unpack_from("<I", ring, 12)[0]
    at, wraps = 120, []
    for _ in range(count):
        kind, name_bytes = ring[at], ring[at + 1]
        at += 2 + name_bytes
        size = struct.unpack_from("<H", ring, at)[0]
        wraps.append((kind, ring[at + 2:at + 2 + size]))
        at += 2 + size
    before = hashlib.sha256(ring[:at]).digest()
    for wrap in [wrap for kind, wrap in wraps if kind == 1]:
        try:
            held = opened(hkdf(unwrapped(wrap, secret), before, b"holdfast ring 1"), 0, ring[at:-4], ring[:at])
        except Unreadable:
            continue
        secrets, epochs = struct.unpack_from("<II", held)
        begin = 8 + 32 + 32 * secrets
        return [held[begin + 44 * each + 12:begin + 44 * (each + 1)] for each in range(epochs)]
    raise Unreadable("the key file opens none of the ring's wrappings")


class Stretch:
    """One object: the places and times that it holds entries of. `first_due_ns` is the time of the first entry that somebody would miss."""

    def __init__(self, sealed, keys):
        self.digest = hashlib.sha256(sealed).digest()
        epoch = struct.unpack_from("<I", sealed, 12)[0]
        key = hkdf(keys[epoch - 1], sealed[48:80], sealed[:HEADER])
        begin = len(sealed) - FOOT - struct.unpack_from("<Q", sealed, len(sealed) - FOOT)[0]
        words = opened(key, CLOSING, sealed[begin:-FOOT], struct.pack("<Q", begin))
        self.predecessor = words[28:60]
        self.before, self.last, self.end_ns = (struct.unpack_from("<Q", words, at)[0] for at in (60, 76, 92))
        self.first_due_ns, at = None, HEADER
        for number in range(struct.unpack_from("<I", words, 100)[0]):
            said = words[104 + 12 * number:116 + 12 * number]
            encoding, plain_bytes, sealed_bytes = struct.unpack("<III", said)
            plain = opened(key, number, sealed[at:at + sealed_bytes], said)
            at += sealed_bytes
            self.first_due_ns = first_due(inflated(plain, plain_bytes) if encoding == 1 else plain)
            if self.first_due_ns is not None:
                break


def inflated(block, count):
    plain = ctypes.create_string_buffer(count)
    if lz4.LZ4_decompress_safe(block, plain, len(block), count) != count:
        raise Unreadable("its LZ4 block is damaged")
    return plain.raw


def first_due(records):
    at = 0
    while at < len(records):
        if struct.unpack_from("<H", records, at + RECORD_KIND)[0] != BLANK:
            return struct.unpack_from("<Q", records, at + RECORD_TIME)[0]
        at += struct.unpack_from("<I", records, at + RECORD_LENGTH)[0]
    return None


class Archive:
    """A repository's directory, looked at from outside."""

    def __init__(self, path, key):
        self.tenant, self.secret = key_file(key)
        self.home = os.path.join(path, self.tenant)

    def names(self):
        """The numbers of all stretches that lie there: of one mesh, and one group."""
        log = os.path.join(self.home, "log")
        found = []
        for mesh in os.listdir(log) if os.path.isdir(log) else ():
            with os.scandir(os.path.join(log, mesh)) as entries:
                found += [(each.name, each.path) for each in entries if len(each.name) == 20 and each.name.isdigit()]
        return sorted(found)

    def read(self, path):
        rings = sorted(os.listdir(os.path.join(self.home, "keys")))
        with open(os.path.join(self.home, "keys", rings[-1]), "rb") as file:
            keys = epoch_keys(file.read(), self.secret)
        with open(path, "rb") as file:
            return Stretch(file.read(), keys)
