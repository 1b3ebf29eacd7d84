"""What of a network a runtime executes, and so what is priced.

A lowered network holds no operator for values that nobody reads, for identities of one value, and for what only a
`Zero` reads, since zeros are a constant. Some runtimes go further and compute once, when the model is loaded,
whatever depends on constants alone (ONNX Runtime does, LiteRT does not): calibration finds out.
"""

from __future__ import annotations

from functools import lru_cache

from mnas.ir import Architecture, Layer, Network, Placement
from mnas.ir.layers import Join, Seq, Zero


def executed(network: Network, folds_constants: bool) -> tuple[Placement, ...]:
    """The placements that cost time: zeros never, what is fed by constants only if the runtime does not fold it.

    Of a network that is no architecture, such as a model file that was read, these are all.
    """
    placements, architecture = network.placements, network
    if not isinstance(architecture, Architecture):
        return placements
    if all(node.sources == (i,) for i, node in enumerate(architecture.nodes)) and all(map(works, placements)):
        return placements
    needed, varying, _ = _analysed(architecture)
    return varying if folds_constants else needed


def is_constant(architecture: Architecture) -> bool:
    """Whether the output does not depend on the input, as where zeros cut every path."""
    return _analysed(architecture)[2]


@lru_cache(maxsize=65536)
def works(placement: Placement) -> bool:
    """Whether an op alone at its place is executed: no identity, and no zero."""
    layer = placement.op.layers(placement.x)
    return layer != Seq() and _reads(layer)


def _reads(layer: Layer) -> bool:
    """Whether the output depends on the input."""
    match layer:
        case Zero():
            return False
        case Seq(layers):
            return all(map(_reads, layers))
        case Join(_, branches):
            return any(map(_reads, branches))
        case _:
            return True


@lru_cache(maxsize=4096)
def _analysed(architecture: Architecture) -> tuple[tuple[Placement, ...], tuple[Placement, ...], bool]:
    """Placements that are operators, those of them that depend on the input, and whether the output does not."""
    canonical = architecture.canonical()
    nodes, placements = canonical.nodes, canonical.placements
    reads = [_reads(placement.op.layers(placement.x)) for placement in placements]
    varies = [True]
    for node, read in zip(nodes, reads, strict=True):
        varies.append(read and any(varies[source] for source in node.sources))
    needed = {len(nodes)}
    for i in range(len(nodes), 0, -1):
        if i in needed and reads[i - 1]:
            needed.update(nodes[i - 1].sources)
    kept = [i for i in range(1, len(nodes) + 1) if i in needed]
    every = tuple(placements[i - 1] for i in kept if reads[i - 1])
    return every, tuple(placements[i - 1] for i in kept if varies[i]), not varies[-1]
