"""Weights and inputs that are given by a formula, the same here and in training/src/golden.rs.

Each tensor's numbers are normals from a counter: SplitMix64 steps from the FNV-1a hash of its name, two of them make two normals
(Box-Muller). Scales are the paper's where it has any; gains, biases and batch norm's statistics vary too, so that none of them can be
left out unnoticed.
"""
import numpy as np

MASK = (1 << 64) - 1
STEP = np.uint64(0x9E3779B97F4A7C15)


def fnv(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return np.uint64(value)


def fractions(name, start, count):
    with np.errstate(over="ignore"):
        bits = fnv(name) + (np.arange(start + 1, start + count + 1, dtype=np.uint64)) * STEP
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(name, count):
    """`count` normals of deviation 1, in pieces, as 64-bit floats would fill the memory for the largest tables."""
    out = np.empty(count + count % 2, np.float32)
    for start in range(0, len(out), 1 << 22):
        end = min(start + (1 << 22), len(out))
        u = fractions(name, start, end - start)
        radius, angle = np.sqrt(-2.0 * np.log(1.0 - u[0::2])), 2.0 * np.pi * u[1::2]
        out[start:end:2], out[start + 1 : end : 2] = radius * np.cos(angle), radius * np.sin(angle)
    return out[:count]


def scale(name, shape, layers, widths):
    """Mean and deviation of a tensor; `layers` of the text and image transformer, `widths` likewise."""
    image = name.startswith("visual.")
    width, depth = widths[image], layers[image]
    last = name.rsplit(".", 1)[-1]
    if name == "logit_scale":
        return float(np.log(1 / 0.07)), 0.0
    if last == "running_mean":
        return 0.0, 0.1
    if last == "running_var":
        return 1.0, 0.1
    if len(shape) == 1 and last == "weight":
        # Residual branches of a ResNet begin at 0 in the paper; near 1, rounding alone would change gradients by percents.
        return (0.3, 0.1) if ".bn3." in name and "layer" in name else (1.0, 0.1)
    if last in ("bias", "in_proj_bias"):
        return 0.0, 0.1
    if name == "token_embedding.weight":
        return 0.0, 0.02
    if name == "positional_embedding":
        return 0.0, 0.01
    if "attnpool" in name:
        return 0.0, shape[-1] ** -0.5
    if len(shape) == 4:
        # ResNet: half of the numbers die in each ReLU. Patches: the framework's fan-in.
        fan_in = shape[1] * shape[2] * shape[3]
        return 0.0, (2.0 / fan_in) ** 0.5
    if name.endswith(("out_proj.weight", "c_proj.weight")):
        # The image tower's blocks have no factor of depth in the paper's code; with it all pictures would look the same.
        return 0.0, (shape[1] if image else width * 2 * depth) ** -0.5
    if name.endswith("c_fc.weight"):
        return 0.0, (2 * width) ** -0.5
    return 0.0, width**-0.5


def weight(name, shape, layers, widths):
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    mean, deviation = scale(name, shape, layers, widths)
    count = int(np.prod(shape, dtype=np.int64))
    numbers = normals(name, count) if deviation else np.zeros(count, np.float32)
    numbers *= np.float32(deviation)
    numbers += np.float32(mean)
    return numbers.reshape(shape)


def fill(state):
    """Fills a state dictionary of OpenAI's names in place, tensor by tensor."""
    import torch

    text = sum(1 for name in state if name.startswith("transformer.resblocks.") and name.endswith("ln_1.weight"))
    image = sum(1 for name in state if name.startswith("visual.transformer.resblocks.") and name.endswith("ln_1.weight"))
    widths = (state["ln_final.weight"].shape[0], state["visual.ln_post.weight"].shape[0] if "visual.ln_post.weight" in state else 1)
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(torch.from_numpy(weight(name, tuple(tensor.shape), (text, image), widths)))


def images(count, side):
    """[count, 3, side, side]: squares of colour, one for each 32 pixels, under a little noise."""
    squares = max(side // 32, 2)
    coarse = normals("images.coarse", count * 3 * squares**2).reshape(count, 3, squares, squares)
    fine = normals("images.fine", count * 3 * side * side).reshape(count, 3, side, side)
    at = np.arange(side) * squares // side
    return np.ascontiguousarray(coarse[:, :, at][:, :, :, at] * np.float32(3) + fine * np.float32(0.5))


def ids(count, context, vocab):
    """[count, context]: texts of different lengths; the last id of the vocabulary ends them."""
    out = np.zeros((count, context), np.int64)
    for row in range(count):
        length = min(context, 5 + (row * 7) % 14)
        words = (fractions(f"ids.{row}", 0, length) * (vocab - 2)).astype(np.int64)
        out[row, :length] = words
        out[row, 0], out[row, length - 1] = vocab - 2, vocab - 1
    return out
