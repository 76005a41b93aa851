//! The file is read back and its graph run, operation by operation, in candle: the bytes that leave are what is tested.

use super::proto::{Array, Attribute, Length, Model, Node};
use super::to_onnx;
use crate::model::{Bundle, LEADS, Steps, Work, open_engine};
use candle_core::{Device, Result, Tensor};
use prost::Message;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

fn ints(attributes: &[Attribute], name: &str) -> usize {
    let found = attributes.iter().find(|a| a.name == name).map_or(1, |a| a.ints[0]);
    usize::try_from(found).expect("no negative length")
}

fn run_node(node: &Node, values: &BTreeMap<String, Tensor>) -> Result<Tensor> {
    let input = |i: usize| &values[&node.input[i]];
    match node.op_type.as_str() {
        "Conv" => {
            let a = &node.attribute;
            let pad = a.iter().find(|a| a.name == "pads").map_or(0, |a| a.ints[1] as usize);
            let y = input(0).conv1d(input(1), pad, ints(a, "strides"), ints(a, "dilations"), 1)?;
            match node.input.get(2) {
                Some(bias) => y.broadcast_add(&values[bias].reshape((1, (), 1))?),
                None => Ok(y),
            }
        }
        "MatMul" => input(0).matmul(input(1)),
        "Unsqueeze" => input(0).unsqueeze(2),
        "Add" => input(0).broadcast_add(input(1)),
        "Relu" => input(0).relu(),
        "Concat" => {
            let all: Vec<&Tensor> = node.input.iter().map(|i| &values[i]).collect();
            Tensor::cat(&all, node.attribute[0].i.expect("an axis") as usize)
        }
        other => panic!("an operation that no test knows: {other}"),
    }
}

fn constant(array: &Array) -> Option<Tensor> {
    let dims: Vec<usize> = array.dims.iter().map(|d| *d as usize).collect();
    let floats: Vec<f32> =
        array.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    (array.data_type == super::proto::FLOAT)
        .then(|| Tensor::from_vec(floats, dims, &Device::Cpu).expect("dims fit the values"))
}

#[test]
fn the_exported_graph_computes_what_the_engine_computes() {
    let bundle = Bundle::tiny(7);
    let (time, mask) = (500, 0b0100_0010_u16);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let x: Vec<f32> = (0..time * LEADS)
        .map(|i| if mask >> (i % LEADS) & 1 == 1 { rng.random_range(-4.0..4.0) } else { 0.0 })
        .collect();
    let mut engine = open_engine(&bundle, "cpu").expect("the CPU");
    let mut stream = engine.open(mask);
    let mut work = [Work { stream: &mut stream, input: &x, finish: true, steps: Steps::default() }];
    engine.advance(&mut work).expect("the CPU");

    let model = Model::decode(to_onnx(&bundle).expect("arrays fit").as_slice()).expect("protobuf");
    let graph = model.graph.expect("a graph");
    let mut values: BTreeMap<String, Tensor> =
        graph.initializer.iter().filter_map(|a| Some((a.name.clone(), constant(a)?))).collect();
    let flags: Vec<f32> = (0..LEADS).map(|lead| f32::from(mask >> lead & 1)).collect();
    let tensor = |v: Vec<f32>, dims: &[usize]| Tensor::from_vec(v, dims, &Device::Cpu).expect("sizes fit");
    let turned = tensor(x.clone(), &[1, time, LEADS]).transpose(1, 2).and_then(|t| t.contiguous());
    values.insert("x".into(), turned.expect("a transpose"));
    values.insert("mask".into(), tensor(flags, &[1, LEADS]));
    for node in &graph.node {
        let y = run_node(node, &values).unwrap_or_else(|e| panic!("{}: {e}", node.name));
        assert!(values.insert(node.output[0].clone(), y).is_none(), "{} is computed twice", node.name);
    }
    let steps = &work[0].steps;
    for (name, expected) in [("taps", &steps.taps), ("logits", &steps.logits)] {
        let found =
            values[name].transpose(1, 2).and_then(|t| t.flatten_all()?.to_vec1::<f32>()).expect("floats");
        assert_eq!(found.len(), expected.len(), "{name}");
        let scale = expected.iter().fold(1e-3_f32, |m, v| m.max(v.abs()));
        let off = found.iter().zip(expected).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale;
        assert!(off < 1e-4, "{name} off by {off}");
    }
}

#[test]
fn the_file_says_what_goes_in_and_comes_out() {
    let bundle = Bundle::tiny(7);
    let model = Model::decode(to_onnx(&bundle).expect("arrays fit").as_slice()).expect("protobuf");
    let graph = model.graph.expect("a graph");
    let shape = |value: &super::proto::Value| -> String {
        let tensor = value.kind.as_ref().and_then(|k| k.tensor.as_ref()).expect("a tensor");
        let dims = tensor.shape.as_ref().expect("a shape").dim.iter().map(|d| match &d.length {
            Some(Length::Fixed(n)) => n.to_string(),
            Some(Length::Named(name)) => name.clone(),
            None => "?".into(),
        });
        format!("{} [{}]", value.name, dims.collect::<Vec<_>>().join(", "))
    };
    let said: Vec<String> = graph.input.iter().chain(&graph.output).map(shape).collect();
    assert_eq!(said, ["x [n, 12, time]", "mask [n, 12]", "taps [n, 384, step]", "logits [n, 5, step]"]);
    assert!(model.metadata_props.iter().any(|note| note.key == "model" && note.value == bundle.id));
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
}
