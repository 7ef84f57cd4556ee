"""Imported 8-bit networks against the interpreter of the program that trained them, output by output.

Every network of MLPerf Tiny's closed division is imported with `sirocco-train image import`; LiteRT and the device's
evaluator then see the same bytes. ResNet-8 sees the 200 images of CIFAR-10 of the accuracy set, the others random bytes and
smooth waves. Called by `run`, or alone:

    python imported.py --data ../../../shared/data --train ../../target/debug/sirocco-train
"""

import argparse
import csv
import gzip
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

IMAGES = 200
NETWORKS = ["pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8"]


def accuracy_set(data):
    """The 200 images of the accuracy set, channels last, and their classes."""
    with open(data / "mlperf-tiny/ic01_y_labels.csv", newline="") as file:
        rows = [(row[0].removesuffix(".bin") + ".png", int(row[2])) for row in csv.reader(file)]
    with gzip.open(data / "cifar-10/record-order.txt.gz", "rt") as file:
        places = {}
        for line in file:
            batch, record, name = line.split()
            places[Path(name).name] = (batch, int(record))
    batches = {}
    with tarfile.open(data / "cifar-10/cifar-10-binary.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".bin"):
                batches[Path(member.name).name] = np.frombuffer(archive.extractfile(member).read(), np.uint8)
    images, labels = [], []
    for name, label in rows:
        batch, record = places[name]
        row = batches[batch].reshape(-1, 3073)[record]
        assert row[0] == label, name
        images.append(row[1:].reshape(3, 32, 32).transpose(1, 2, 0))
        labels.append(label)
    return np.stack(images), np.array(labels)


def made_up(shape, seed):
    """Half random bytes, half smooth waves with some noise."""
    random = np.random.default_rng(seed)
    size = int(np.prod(shape))
    noise = random.integers(0, 256, (IMAGES // 2, size))
    places = np.arange(size)
    waves = []
    for _ in range(IMAGES - IMAGES // 2):
        slow, fast, phase = random.uniform(0.5, 4), random.uniform(4, 40), random.uniform(0, 2 * np.pi, 2)
        wave = 128 + 70 * np.sin(slow * places / size * 2 * np.pi + phase[0])
        wave += 40 * np.sin(fast * places / size * 2 * np.pi + phase[1]) + random.normal(0, 8, size)
        waves.append(wave.clip(0, 255))
    return np.concatenate([noise, np.array(waves).round()]).astype(np.uint8).reshape(-1, *shape)


def interpreted(path, images, resolver):
    """The outputs of the interpreter as bytes: before the softmax, if there is one, and after it."""
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    feed, last = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    softmax = last["quantization"][0] == 1 / 256
    before = last["index"] - 1 if softmax else last["index"]
    details = next(d for d in interpreter.get_tensor_details() if d["index"] == before)
    raw, final = [], []
    for image in images:
        interpreter.set_tensor(feed["index"], (image.astype(np.int16) - 128).astype(np.int8).reshape(feed["shape"]))
        interpreter.invoke()
        raw.append(interpreter.get_tensor(before).ravel().copy())
        final.append(interpreter.get_tensor(last["index"]).ravel().copy())
    return np.array(raw, int) + 128, np.array(final, int) + 128, details["quantization"], softmax


def compare(data, train, name, folder):
    path = data / "mlperf-tiny" / f"{name}.tflite"
    probe = Interpreter(str(path))
    shape = tuple(int(n) for n in probe.get_input_details()[0]["shape"][1:])
    images, labels = accuracy_set(data) if name == NETWORKS[0] else (made_up(shape, 1), None)
    raw, answers, model = folder / "images", folder / "answers", folder / f"{name}.safetensors"
    raw.write_bytes(images.tobytes())
    command = [train, "image", "import", path, "--images", raw, "--outputs", answers, "--out", model, "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    earlier = None
    for kernels, resolver in [("reference", OpResolverType.BUILTIN_REF), ("XNNPACK", OpResolverType.AUTO)]:
        theirs, final, (scale, zero), softmax = interpreted(path, images, resolver)
        if softmax:
            logits = np.fromfile(answers, np.float32).reshape(len(images), -1).astype(float)
            ours = (np.round(logits / scale) + zero + 128).clip(0, 255).astype(int)
            e = np.exp(logits - logits.max(1, keepdims=True))
            probability = e / e.sum(1, keepdims=True)
            classes = f"same class {np.mean(logits.argmax(1) == final.argmax(1)):.3f}"
            classes += f", largest difference of a probability {np.abs(probability - final / 256).max():.4f}"
        else:
            ours = np.fromfile(answers, np.uint8).reshape(len(images), -1).astype(int)
            classes = "values"
        difference = np.abs(ours - theirs)
        print(
            f"{name}, {kernels}: {difference.size} outputs, {np.mean(difference > 0):.4%} differ, "
            f"{np.mean(difference > 1):.4%} by more than one step, at most {difference.max()}; {classes}"
        )
        if earlier is not None:
            spread = np.abs(theirs - earlier)
            print(f"{name}: LiteRT's two differ in {np.mean(spread > 0):.1%} of the outputs, at most by {spread.max()}")
        earlier = theirs
    if labels is not None:
        print(f"{name}: top-1 {np.mean(logits.argmax(1) == labels):.1%}, LiteRT {np.mean(final.argmax(1) == labels):.1%}")
    print(f"{name}: {report['nodes']} nodes, {report['bytes']} bytes, {report['arena']} bytes of RAM")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            compare(arguments.data, arguments.train, name, Path(folder))


if __name__ == "__main__":
    main()
