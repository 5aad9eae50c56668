#!/usr/bin/env python3
"""SNP launch digest of an OVMF image under QEMU, by hashlib: what bench/measure compares with.

Written from the firmware sheet (2.1 to 2.3), as plainly as possible.
  measure_peer.py IMAGE VCPUS SIGNATURE
"""
import hashlib
import struct
import sys
import uuid

PAGE = 4096
NORMAL, VMSA, ZERO, SECRETS, CPUID = 1, 2, 3, 5, 6
SECTION_TYPES = {1: ZERO, 2: SECRETS, 3: CPUID, 4: ZERO, 0x10: ZERO}
FOOTER = uuid.UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
RESET_BLOCK = uuid.UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e").bytes_le
METADATA = uuid.UUID("dc886566-984a-4798-a75e-5585a7bf67cc").bytes_le


def extend(digest, page_type, gpa, contents):
    info = digest + contents + struct.pack("<HBBIQ", 0x70, page_type, 0, 0, gpa)
    return hashlib.sha384(info).digest()


def guid_table(image):
    """Data by GUID, walked from the footer backwards."""
    end = len(image) - 0x20
    size, guid = struct.unpack("<H16s", image[end - 18:end])
    assert guid == FOOTER
    table = image[end - size:end - 18]
    entries = {}
    while table:
        size, guid = struct.unpack("<H16s", table[-18:])
        entries[guid] = table[-size:-18]
        table = table[:-size]
    return entries


def sections(image, entries):
    start = len(image) - struct.unpack("<I", entries[METADATA])[0]
    signature, _, version, count = struct.unpack("<4sIII", image[start:start + 16])
    assert signature == b"ASEV" and version == 1
    return list(struct.iter_unpack("<III", image[start + 16:start + 16 + 12 * count]))


def vmsa(eip, signature):
    page = bytearray(PAGE)

    def put(offset, form, *values):
        struct.pack_into("<" + form, page, offset, *values)

    for offset in (0x000, 0x020, 0x030, 0x040, 0x050):  # ES, SS, DS, FS, GS
        put(offset, "HHIQ", 0, 0x93, 0xFFFF, 0)
    put(0x010, "HHIQ", 0xF000, 0x9B, 0xFFFF, eip & 0xFFFF0000)  # CS
    put(0x060, "HHIQ", 0, 0, 0xFFFF, 0)  # GDTR
    put(0x080, "HHIQ", 0, 0, 0xFFFF, 0)  # IDTR
    put(0x070, "HHIQ", 0, 0x82, 0xFFFF, 0)  # LDTR
    put(0x090, "HHIQ", 0, 0x8B, 0xFFFF, 0)  # TR
    for offset, value in ((0x0D0, 0x1000), (0x148, 0x40), (0x158, 0x10), (0x160, 0x400),
                          (0x168, 0xFFFF0FF0), (0x170, 2), (0x178, eip & 0xFFFF),
                          (0x268, 0x0007040600070406), (0x310, signature), (0x3B0, 1),
                          (0x3E8, 1)):
        put(offset, "Q", value)
    put(0x408, "I", 0x1F80)
    put(0x410, "H", 0x37F)
    return bytes(page)


def measure(image, vcpus, signature):
    digest = bytes(48)
    base = (1 << 32) - len(image)
    for at in range(0, len(image), PAGE):
        digest = extend(digest, NORMAL, base + at, hashlib.sha384(image[at:at + PAGE]).digest())
    entries = guid_table(image)
    for gpa, size, kind in sections(image, entries):
        for at in range(0, size, PAGE):
            digest = extend(digest, SECTION_TYPES[kind], gpa + at, bytes(48))
    reset_eip = struct.unpack("<I", entries[RESET_BLOCK])[0]
    for index in range(vcpus):
        page = vmsa(0xFFFFFFF0 if index == 0 else reset_eip, signature)
        digest = extend(digest, VMSA, 0xFFFFFFFFF000, hashlib.sha384(page).digest())
    return digest.hex()


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        print(measure(file.read(), int(sys.argv[2]), int(sys.argv[3], 0)))
