"""ONNX files as drafts. Weights are never computed with: only their sizes count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from mnas.errors import FormatError
from mnas.ir import Shape
from mnas.ir.layers import PoolKind
from mnas.lower.formats import parse_onnx
from mnas.ops.cell import Identity
from mnas.ops.primitive import Activate, Conv2d, Crop, GlobalPool, LinearOp, NormOp, Pad, Pool2d
from mnas.reading.file import FileNode, Tensor
from mnas.reading.folding import node_name, settle, sizes_of, small_array
from mnas.reading.parts import Draft, Drafting, Pads, Part, Reader, Refusal

_DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
}


def draft_onnx(model: bytes) -> Draft:
    """Read an ONNX file of batch 1; a batch that is left open is taken as 1.

    Raises:
        FormatError: not a complete and valid file, weights in other files, sizes other than the batch left open, a
            larger batch, or no image among the inputs.
    """
    proto = parse_onnx(model)
    for tensor in _tensors(proto.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            raise FormatError(f"the numbers of {tensor.name!r} are in another file: save the model as one file")
    _close_batch(proto.graph)
    proto, computed = settle(proto)
    return _Onnx().draft(proto.graph, computed)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """All constants of a graph, and of those nested in it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for each in node.attribute:
            yield from (each.t, *each.tensors)
            for nested in (each.g, *each.graphs):
                yield from _tensors(nested)


def _close_batch(graph: GraphProto) -> None:
    """Set open batches to 1; other open sizes are refused."""
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name in weights:
            continue
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if size.HasField("dim_value") and size.dim_value > 0:
                continue
            if axis:
                raise FormatError(
                    f"input {value.name!r} has the dynamic shape {_shown(value)}: export the model with fixed sizes"
                )
            size.dim_value = 1


def _shown(value: ValueInfoProto) -> str:
    sizes = (str(d.dim_value) if d.dim_value > 0 else d.dim_param or "?" for d in value.type.tensor_type.shape.dim)
    return f"[{', '.join(sizes)}]"


def _shape(sizes: tuple[int, ...] | None) -> Shape | None:
    match sizes:
        case (1, c, h, w) if min(c, h, w) > 0:
            return Shape(c, h, w)
        case (1, c) if c > 0:
            return Shape(c, 1, 1)
    return None


class _Onnx(Drafting):
    quantized = False

    def draft(self, graph: GraphProto, computed: Iterable[str]) -> Draft:
        types: dict[str, int] = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            sizes = sizes_of(value)
            self.tensors[value.name] = Tensor(sizes, _shape(sizes))
            types[value.name] = value.type.tensor_type.elem_type
        for constant in graph.initializer:
            sizes = tuple(constant.dims)
            self.tensors[constant.name] = Tensor(sizes, _shape(sizes), True, small_array(constant))
        inputs = tuple(value.name for value in graph.input if not self.tensors[value.name].constant)
        for name in inputs:
            sizes = self.tensors[name].sizes
            if sizes is None:
                raise FormatError(f"input {name!r} has no shape: export the model with fixed sizes")
            if sizes and sizes[0] > 1:
                raise FormatError(f"input {name!r} has batch {sizes[0]}: only batch 1 is priced")
        parts, idle, readers = [], list(computed), self._readers()
        for proto in graph.node:
            node = _node(proto)
            if self._settled(proto, node):
                idle.append(node.name)
            else:
                parts.append(self.read(node, readers))
        dtype = "int8" if self.quantized else _DTYPES.get(types.get(inputs[0], 0) if inputs else 0, "other")
        return Draft(inputs, tuple(o.name for o in graph.output), self.tensors, parts, tuple(idle), dtype, folds=True)

    def _settled(self, proto: NodeProto, node: FileNode) -> bool:
        """Whether an operator gives the same in every run, such as a weight that is cast or transposed."""
        for name in (*node.inputs, *node.outputs):
            self.tensors.setdefault(name, Tensor(None))
        nested = any(each.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for each in proto.attribute)
        if self.varying(node) or nested:
            return False
        for name in node.outputs:
            self.tensors[name] = self.tensors[name]._replace(constant=True)
        return True

    def _readers(self) -> dict[str, Reader]:
        return {
            "Conv": self._conv, "Gemm": self._linear, "MatMul": self._linear, "BatchNormalization": self._norm,
            "Relu": self.activation("relu"), "HardSwish": self.activation("hswish"), "Clip": self._clip,
            "HardSigmoid": self.activation("hsigmoid"), "Sigmoid": self.activation("sigmoid"),
            "Swish": self.activation("swish"), "Add": self.elementwise("add"), "Sum": self.elementwise("add"),
            "Sub": self.elementwise("sub"), "Mul": self.elementwise("mul"), "Div": self.elementwise("div"),
            "Concat": self._concat, "Pad": self._pad, "Slice": self._slice, "MaxPool": self._pool,
            "AveragePool": self._pool,
            "GlobalMaxPool": self._global, "GlobalAveragePool": self._global, "ReduceMean": self._global,
            "ReduceMax": self._global, "QuantizeLinear": self._quantize, "DequantizeLinear": self._quantize,
            **dict.fromkeys(("Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze"), self.reshaped),
        }  # fmt: skip

    def _conv(self, node: FileNode) -> Part:
        weight = self.tensors[node.inputs[1]]
        if not weight.constant or weight.sizes is None:
            raise Refusal("its weights are no constant")
        self.shape(node.inputs[0])
        _, _, kh, kw = weight.sizes  # as the map has four axes
        (sh, sw), (dh, dw) = _pair(node, "strides"), _pair(node, "dilations")
        op = Conv2d(weight.sizes[0], kh, kw, sh, sw, dh, dw, node.attributes.get("group", 1))
        return self.part(node, op, pads=_pads(node))

    def _linear(self, node: FileNode) -> Part:
        x, weight = self.shape(node.inputs[0]), self.tensors[node.inputs[1]]
        sizes = self.tensors[node.inputs[0]].sizes
        if not weight.constant or weight.sizes is None or len(weight.sizes) != 2:
            raise Refusal("it multiplies values, or by weights that are no matrix")
        if sizes is None or len(sizes) != 2 or node.attributes.get("transA"):
            raise Refusal(f"it multiplies {x} by a matrix other than as a linear layer")
        return self.part(node, LinearOp(weight.sizes[0 if node.attributes.get("transB") else 1]))

    def _norm(self, node: FileNode) -> Part:
        self.shape(node.inputs[0])
        return self.part(node, NormOp())

    def _clip(self, node: FileNode) -> Part:
        """Any limits cost what ReLU6 costs; without an upper one it is ReLU."""
        self.shape(node.inputs[0])
        bounded = "max" in node.attributes or len(node.inputs) > 2
        return self.part(node, Activate("relu6" if bounded else "relu"))

    def _concat(self, node: FileNode) -> Part:
        rank = len(self.tensors[node.outputs[0]].sizes or ())
        if node.attributes["axis"] not in (1, 1 - rank) or len(self.varying(node)) < len(node.inputs):
            raise Refusal("it concatenates other than values along their channels")
        return self.part(node, Identity(), join="cat")

    def _pool(self, node: FileNode) -> Part:
        x, (kh, kw), (sh, sw) = self.shape(node.inputs[0]), _pair(node, "kernel_shape"), _pair(node, "strides")
        if _pair(node, "dilations") != (1, 1):
            raise Refusal("no op pools with dilation")
        kind: PoolKind = "max" if node.operator == "MaxPool" else "avg"
        pads = _pads(node)
        if (kh, kw) == (x.h, x.w) and pads and not any(pads):
            return self.part(node, GlobalPool(kind))
        return self.part(node, Pool2d(kind, kh, kw, sh, sw), pads=pads)

    def _global(self, node: FileNode) -> Part:
        rank = len(self.tensors[node.inputs[0]].sizes or ())
        self.shape(node.inputs[0])
        if node.operator.startswith("Reduce"):
            axes = node.attributes.get("axes") or (self.numbers(node, 1, "axes") if len(node.inputs) > 1 else [])
            if rank != len(("N", "C", "H", "W")) or sorted(axis % rank for axis in axes) != [2, 3]:
                raise Refusal("it reduces other axes than height and width")
        return self.part(node, GlobalPool("max" if "Max" in node.operator else "avg"))

    def _pad(self, node: FileNode) -> Part:
        self.shape(node.inputs[0])
        pads = node.attributes.get("pads") or self.numbers(node, 1, "sizes")
        if len(node.inputs) > len(("data", "pads", "value")) and node.inputs[3]:
            axes = self.numbers(node, 3, "axes")
            given = dict(zip([axis % 4 for axis in axes], zip(pads, pads[len(axes) :], strict=False), strict=False))
            before, after = zip(*(given.get(axis, (0, 0)) for axis in range(4)), strict=True)
            pads = [*before, *after]
        if len(pads) != len("NCHW") * 2 or any(pads[i] for i in (0, 1, 4, 5)) or min(pads) < 0:
            raise Refusal(f"no op pads by {list(pads)}")
        if node.attributes.get("mode", b"constant") != b"constant":
            raise Refusal("no op pads with values of the map")
        return self.part(node, Pad(top=pads[2], bottom=pads[6], left=pads[3], right=pads[7]))

    def _slice(self, node: FileNode) -> Part:
        x, y = self.shape(node.inputs[0]), self.shape(node.outputs[0])
        starts, axes = self.numbers(node, 1, "starts"), self.numbers(node, 3, "axes")
        steps = self.numbers(node, 4, "steps") if len(node.inputs) > len(("data", "starts", "ends", "axes")) else [1]
        if not {axis % 4 for axis in axes} <= {2, 3} or {*steps} != {1}:
            raise Refusal("it slices other than a window of the map")
        first = dict(zip((axis % 4 for axis in axes), starts, strict=True))
        top, left = (
            start + size if start < 0 else start for start, size in ((first.get(2, 0), x.h), (first.get(3, 0), x.w))
        )
        return self.part(node, Crop(top, x.h - y.h - top, left, x.w - y.w - left))

    def _quantize(self, node: FileNode) -> Part:
        self.quantized = True
        return self.reshaped(node)


def _node(proto: NodeProto) -> FileNode:
    kind = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
    return FileNode(node_name(proto), kind, tuple(proto.input), tuple(proto.output), attributes)


def _pair(node: FileNode, key: str) -> tuple[int, int]:
    match node.attributes.get(key, (1, 1)):
        case (int(h), int(w)):
            return h, w
        case other:
            raise Refusal(f"its {key} {list(other)} are not those of a map")


def _pads(node: FileNode) -> Pads | None:
    """Explicit padding; nothing for SAME, whose odd pixel costs the same on either side."""
    match node.attributes.get("auto_pad", b"NOTSET"):
        case b"SAME_UPPER" | b"SAME_LOWER":
            return None
        case b"VALID":
            return 0, 0, 0, 0
    match node.attributes.get("pads", (0, 0, 0, 0)):
        case (top, left, bottom, right):
            return top, left, bottom, right
        case other:
            raise Refusal(f"its pads {list(other)} are not those of a map")
