"""Weights along the way, with the CPU-seconds they had cost, to find afterwards when a LogLoss was first reached."""

import time


class Snapshots:
    def __init__(self, every, weights):
        self.every, self.weights, self.taken, self.begin = every, weights, [], time.process_time()

    def see(self, step):
        """Copies the weights every so many steps: microseconds."""
        if step % self.every == 0:
            self.taken.append((step, time.process_time() - self.begin, self.weights()))
