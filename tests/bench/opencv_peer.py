"""opencv_peer.py FILE HEIGHT WIDTH: median CPU milliseconds of cv2's Farneback flow of two float32 frames in FILE,
with one thread and the parameters of fb_defaults (tests/bench/bench_metrics.c)."""
import sys
import time

import cv2
import numpy

path, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cv2.setNumThreads(1)
a, b = numpy.fromfile(path, numpy.float32).reshape(2, height, width).astype(numpy.uint8)
runs = []
for _ in range(6):
    start = time.process_time()
    cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    runs.append(time.process_time() - start)
print(1e3 * sorted(runs[1:])[2])
