"""Writes the feature files of this folder with NumPy, and with zipfile and struct those that NumPy cannot write.

x[i, k] = i + k / 4 - 1, mu[k] = k / 2, sigma = identity + 1/8. Run with Python 3 and NumPy >= 1.14: make.py FOLDER
"""
import struct
import sys
import zipfile

import numpy as np

out = sys.argv[1] + "/"
x = np.arange(5)[:, None] + np.arange(3)[None] / 4 - 1
mu, sigma = np.arange(3) / 2, np.eye(3) + 1 / 8
for version in ((1, 0), (2, 0), (3, 0)):
    with open(out + "v%d.npy" % version[0], "wb") as f:
        np.lib.format.write_array(f, x.astype("<f4"), version)
np.save(out + "f8.npy", x)
np.save(out + "fortran.npy", np.asfortranarray(x))
np.save(out + "big.npy", x.astype(">f4"))
np.save(out + "half.npy", x.astype("<f2"))
np.save(out + "object.npy", np.array([1, "a"], dtype=object), allow_pickle=True)
np.save(out + "cube.npy", x.reshape(5, 3, 1))
np.save(out + "line.npy", x[0])
np.save(out + "record.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<f4")]))
np.save(out + "none.npy", np.zeros((0, 3)))
np.savez(out + "stored.npz", features=x)
np.savez_compressed(out + "deflated.npz", features=x.astype("<f4"), labels=np.arange(5))
np.savez(out + "moments.npz", mu=mu, sigma=sigma)
np.savez_compressed(out + "moments_packed.npz", mu=mu, sigma=sigma)
np.savez(out + "skew.npz", mu=mu, sigma=sigma + np.triu(np.ones((3, 3)), 1))
np.savez(out + "one.npz", x)
np.savez(out + "two.npz", a=x, b=x)

npy = open(out + "f8.npy", "rb").read()


def archive(name, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(out + name, "w", method) as z:
        for member, data in members:
            z.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), data, method)


archive("torch.npz", [("archive/data.pkl", b"\x80\x02.")])
archive("up.npz", [("../features.npy", npy)])
archive("bomb.npz", [("features.npy", npy[:128] + bytes(1 << 20))], zipfile.ZIP_DEFLATED)
archive("bzip2.npz", [("features.npy", npy)], zipfile.ZIP_BZIP2)
archive("good.npz", [("features.npy", npy)])
archive("packed.npz", [("features.npy", npy)], zipfile.ZIP_DEFLATED)
packed = open(out + "packed.npz", "rb").read()
good = open(out + "good.npz", "rb").read()
central = good.index(b"PK\x01\x02")
change = lambda at, fmt, v, d=good: d[:at] + struct.pack(fmt, v) + d[at + struct.calcsize(fmt):]
for name, data in {
    "huge.npz": change(packed.index(b"PK\x01\x02") + 24, "<I", 0xFFFFFFF0, packed), "zip64.npz": change(central + 24, "<I", 0xFFFFFFFF),
    "locked.npz": change(central + 8, "<H", 1), "crc.npz": change(central + 16, "<I", 1),
    "away.npz": change(central + 42, "<I", 7), "count.npz": change(len(good) - 12, "<H", 2),
    "pickle.npy": b"\x80\x04\x95" + bytes(20),
}.items():
    open(out + name, "wb").write(data)
with open(out + "twice.npz", "wb") as f:  # one member listed twice
    entry = good[central:-22]
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 2, 2, 2 * len(entry), central, 0)
    f.write(good[:central] + entry + entry + end)
with open(out + "overlap.npz", "wb") as f:  # the second member is the first one's data: a bomb whose parts share bytes
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0x21, 0, 128, 128, 5, 0) + b"b.npy"
    body = local + npy[:128]
    first = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0x21, 0, len(body), len(body), 5, 0) + b"a.npy" + body
    entry = lambda name, size, at: struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 0x21, 0, size, size, 5, 0, 0, 0, 0, 0, at) + name
    cd = entry(b"a.npy", len(body), 0) + entry(b"b.npy", 128, 35)
    f.write(first + cd + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 2, 2, len(cd), len(first), 0))
