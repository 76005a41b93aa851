//! The folded network as an ONNX file, for other engines: what `wardbeat export-onnx` writes.
//!
//! The graph computes what every engine here computes (`Engine::advance` over one whole segment): from `x`
//! `[n, 12, time]` and `mask` `[n, 12]` the taps `[n, channel, step]` and the logits `[n, class, step]`. Batch and time
//! have names only, so that one file serves any length; an engine that wants fixed lengths sets them itself.

mod proto;
#[cfg(test)]
mod tests;

use super::conv::Conv;
use super::live::take;
use super::{Bundle, LEADS, ModelError};
use prost::Message;
use proto::{Array, Attribute, Dim, Graph, Kind, Length, Model, Node, Note, Opset, Shape, TensorKind, Value};

/// ONNX 1.14: read by every runtime since 2023.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

const DOC: &str = "Wardbeat's folded 1D-ResNet. x: [n, 12, time] at 100 Hz, leads I II III aVR aVL aVF V1 to V6, \
filtered, in units of 0.25 mV, absent leads 0. mask: [n, 12], 1 for each lead present. taps: [n, channel, step], one \
step a 4 samples. logits: [n, class, step]; their mean over a window is the window's logit. Research software, not a \
medical device.";

/// The file's bytes.
///
/// # Errors
/// [`ModelError::Bundle`] if an array of the bundle is missing or has another size.
pub fn to_onnx(bundle: &Bundle) -> Result<Vec<u8>, ModelError> {
    let shape = &bundle.manifest.network;
    let mut writer = Writer { bundle, graph: Graph { name: "wardbeat".into(), ..Graph::default() } };
    writer.stem()?;
    let mut y = String::from("block0");
    let mut taps = Vec::new();
    for (i, block) in shape.blocks().into_iter().enumerate() {
        let name = format!("block{}", i + 1);
        writer.conv(&format!("{name}.conv1"), &y, block.conv1, true)?;
        writer.node("Relu", &[&format!("{name}.conv1")], &format!("{name}.hidden"), vec![]);
        writer.conv(&format!("{name}.conv2"), &format!("{name}.hidden"), block.conv2, true)?;
        if let Some(skip) = block.skip {
            writer.conv(&format!("{name}.skip"), &y, skip, false)?;
            y = format!("{name}.skip");
        }
        writer.node("Add", &[&format!("{name}.conv2"), &y], &format!("{name}.sum"), vec![]);
        writer.node("Relu", &[&format!("{name}.sum")], &name, vec![]);
        if shape.taps.contains(&i) {
            taps.push(name.clone());
        }
        y = name;
    }
    let taps: Vec<&str> = taps.iter().map(String::as_str).collect();
    writer.node("Concat", &taps, "taps", vec![int("axis", 1)]);
    writer.head(&y)?;
    writer.graph.input = vec![
        value("x", "prepared samples", &[named("n"), fixed(LEADS), named("time")]),
        value("mask", "leads present", &[named("n"), fixed(LEADS)]),
    ];
    writer.graph.output = vec![
        value("taps", "activations", &[named("n"), fixed(shape.tap_channels()), named("step")]),
        value("logits", "class evidence", &[named("n"), fixed(shape.classes.len()), named("step")]),
    ];
    Ok(model(bundle, writer.graph).encode_to_vec())
}

fn model(bundle: &Bundle, graph: Graph) -> Model {
    let note = |key: &str, value: String| Note { key: key.into(), value };
    Model {
        ir_version: IR_VERSION,
        producer_name: "wardbeat".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: DOC.into(),
        graph: Some(graph),
        opset_import: vec![Opset { domain: String::new(), version: OPSET }],
        metadata_props: vec![
            note("model", bundle.id.clone()),
            note("classes", bundle.manifest.classes.join(" ")),
            note("rate_hz", bundle.manifest.rate_hz.to_string()),
            note("step_samples", bundle.manifest.network.step_samples().to_string()),
        ],
    }
}

struct Writer<'a> {
    bundle: &'a Bundle,
    graph: Graph,
}

impl Writer<'_> {
    fn node(&mut self, op: &str, input: &[&str], output: &str, attribute: Vec<Attribute>) {
        self.graph.node.push(Node {
            input: input.iter().map(|i| (*i).into()).collect(),
            output: vec![output.into()],
            name: output.into(),
            op_type: op.into(),
            attribute,
        });
    }

    fn floats(&mut self, name: &str, dims: &[usize], values: impl Iterator<Item = f32>) {
        let raw_data = values.flat_map(f32::to_le_bytes).collect();
        let dims = dims.iter().map(|d| *d as i64).collect();
        self.graph.initializer.push(Array { dims, data_type: proto::FLOAT, name: name.into(), raw_data });
    }

    /// A folded convolution of `input`; the bundle keeps kernels as `[tap, in, out]`, ONNX as `[out, in, tap]`.
    fn conv(&mut self, name: &str, input: &str, conv: Conv, bias: bool) -> Result<(), ModelError> {
        let (kernel, bias_name) = (format!("{name}.kernel"), format!("{name}.bias"));
        let values = take(&self.bundle.weights, &kernel, conv.weights())?;
        let Conv { inputs, outputs, taps, stride, dilation } = conv;
        let at = |o: usize, i: usize, k: usize| values[(k * inputs + i) * outputs + o];
        let turned = (0..outputs)
            .flat_map(|o| (0..inputs).flat_map(move |i| (0..taps).map(move |k| (o, i, k))))
            .map(|(o, i, k)| at(o, i, k));
        self.floats(&kernel, &[outputs, inputs, taps], turned);
        let mut from = vec![input, &kernel];
        if bias {
            let values = take(&self.bundle.weights, &bias_name, outputs)?;
            self.floats(&bias_name, &[outputs], values.iter().copied());
            from.push(&bias_name);
        }
        let attributes = vec![
            ints("kernel_shape", &[taps]),
            ints("pads", &[conv.pad(), conv.pad()]),
            ints("strides", &[stride]),
            ints("dilations", &[dilation]),
        ];
        self.node("Conv", &from, name, attributes);
        Ok(())
    }

    /// The stem: its convolution, and a term for each lead that is present.
    fn stem(&mut self) -> Result<(), ModelError> {
        let stem = self.bundle.manifest.network.stem();
        self.conv("stem", "x", stem, true)?;
        let lead = take(&self.bundle.weights, "stem.lead", LEADS * stem.outputs)?;
        self.floats("stem.lead", &[LEADS, stem.outputs], lead.iter().copied());
        self.node("MatMul", &["mask", "stem.lead"], "stem.present", vec![]);
        self.graph.initializer.push(Array {
            dims: vec![1],
            data_type: proto::INT64,
            name: "last_axis".into(),
            raw_data: 2_i64.to_le_bytes().to_vec(),
        });
        self.node("Unsqueeze", &["stem.present", "last_axis"], "stem.term", vec![]);
        self.node("Add", &["stem", "stem.term"], "stem.sum", vec![]);
        self.node("Relu", &["stem.sum"], "block0", vec![]);
        Ok(())
    }

    /// The linear head at every step: a convolution of one tap.
    fn head(&mut self, input: &str) -> Result<(), ModelError> {
        let shape = &self.bundle.manifest.network;
        let (inputs, outputs) = (shape.features(), shape.classes.len());
        let weight = take(&self.bundle.weights, "head.weight", inputs * outputs)?;
        let bias = take(&self.bundle.weights, "head.bias", outputs)?;
        let turned = (0..outputs).flat_map(|o| (0..inputs).map(move |i| weight[i * outputs + o]));
        self.floats("head.weight", &[outputs, inputs, 1], turned);
        self.floats("head.bias", &[outputs], bias.iter().copied());
        self.node("Conv", &[input, "head.weight", "head.bias"], "logits", vec![ints("kernel_shape", &[1])]);
        Ok(())
    }
}

fn attribute(name: &str, i: Option<i64>, ints: Vec<i64>, kind: i32) -> Attribute {
    Attribute { name: name.into(), i, ints, kind }
}

fn int(name: &str, i: i64) -> Attribute {
    attribute(name, Some(i), Vec::new(), 2)
}

fn ints(name: &str, values: &[usize]) -> Attribute {
    attribute(name, None, values.iter().map(|v| *v as i64).collect(), 7)
}

fn fixed(length: usize) -> Length {
    Length::Fixed(length as i64)
}

fn named(length: &str) -> Length {
    Length::Named(length.into())
}

fn value(name: &str, doc: &str, lengths: &[Length]) -> Value {
    let dim = lengths.iter().map(|length| Dim { length: Some(length.clone()) }).collect();
    let tensor = TensorKind { elem_type: proto::FLOAT, shape: Some(Shape { dim }) };
    Value { name: name.into(), kind: Some(Kind { tensor: Some(tensor) }), doc_string: doc.into() }
}
