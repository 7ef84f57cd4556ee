//! TFLite files made by the `flatbuffers` library: what the reader is tested on comes from another implementation.

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, WIPOffset};

type Place = WIPOffset<TableFinishedWIPOffset>;

/// The offset of a field in the list of fields.
fn slot(field: u16) -> u16 {
    4 + 2 * field
}

/// A tensor: shape, type, data, scales, zero points, axis.
pub struct Tensor {
    pub shape: Vec<i32>,
    pub kind: i8,
    pub data: Vec<u8>,
    pub scales: Vec<f32>,
    pub zeros: Vec<i64>,
    pub axis: i32,
}

pub const I8: i8 = 9;
pub const I32: i8 = 2;
pub const F32: i8 = 0;

impl Tensor {
    /// Signed bytes that an operator computes.
    pub fn value(shape: &[i32], scale: f32, zero: i64) -> Self {
        Tensor { shape: shape.to_vec(), kind: I8, data: vec![], scales: vec![scale], zeros: vec![zero], axis: 0 }
    }

    /// Signed bytes that are weights.
    pub fn weights(shape: &[i32], values: &[i8], scales: &[f32], axis: i32) -> Self {
        let data = values.iter().map(|w| *w as u8).collect();
        Tensor { shape: shape.to_vec(), kind: I8, data, scales: scales.to_vec(), zeros: vec![0; scales.len()], axis }
    }

    /// 32-bit integers.
    pub fn integers(values: &[i32]) -> Self {
        let data = values.iter().flat_map(|b| b.to_le_bytes()).collect();
        Tensor { shape: vec![values.len() as i32], kind: I32, data, scales: vec![], zeros: vec![], axis: 0 }
    }
}

/// A field of an operator's options.
#[derive(Clone, Copy)]
pub enum Field {
    Byte(u16, i8),
    Int(u16, i32),
}

/// An operator: number, inputs, output, options.
pub struct Operator {
    pub code: i32,
    pub inputs: Vec<i32>,
    pub output: i32,
    pub options: Vec<Field>,
}

impl Operator {
    pub fn new(code: i32, inputs: &[i32], output: i32, options: &[Field]) -> Self {
        Operator { code, inputs: inputs.to_vec(), output, options: options.to_vec() }
    }
}

fn tensor(builder: &mut FlatBufferBuilder<'_>, tensor: &Tensor, buffer: u32) -> Place {
    let scales = builder.create_vector(&tensor.scales);
    let zeros = builder.create_vector(&tensor.zeros);
    let start = builder.start_table();
    builder.push_slot_always(slot(2), scales);
    builder.push_slot_always(slot(3), zeros);
    builder.push_slot(slot(6), tensor.axis, 0);
    let quantization = builder.end_table(start);
    let shape = builder.create_vector(&tensor.shape);
    let start = builder.start_table();
    builder.push_slot_always(slot(0), shape);
    builder.push_slot(slot(1), tensor.kind, 0i8);
    builder.push_slot(slot(2), buffer, 0u32);
    builder.push_slot_always(slot(4), quantization);
    builder.end_table(start)
}

fn operator(builder: &mut FlatBufferBuilder<'_>, operator: &Operator, index: u32) -> Place {
    let start = builder.start_table();
    for field in &operator.options {
        match field {
            Field::Byte(field, value) => builder.push_slot(slot(*field), *value, 0i8),
            Field::Int(field, value) => builder.push_slot(slot(*field), *value, 0i32),
        }
    }
    let options = builder.end_table(start);
    let inputs = builder.create_vector(&operator.inputs);
    let outputs = builder.create_vector(&[operator.output]);
    let start = builder.start_table();
    builder.push_slot(slot(0), index, 0u32);
    builder.push_slot_always(slot(1), inputs);
    builder.push_slot_always(slot(2), outputs);
    builder.push_slot_always(slot(4), options);
    builder.end_table(start)
}

/// A file with one subgraph from tensor 0 to `output`.
pub fn file(tensors: &[Tensor], operators: &[Operator], output: i32) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let b = &mut builder;
    let mut buffers = vec![];
    for data in std::iter::once(&[][..]).chain(tensors.iter().map(|t| &t.data[..])) {
        let data = b.create_vector(data);
        let start = b.start_table();
        b.push_slot_always(slot(0), data);
        buffers.push(b.end_table(start));
    }
    let mut codes = vec![];
    for operator in operators {
        let start = b.start_table();
        b.push_slot(slot(0), operator.code.min(127) as i8, 0i8);
        b.push_slot(slot(3), operator.code, 0i32);
        codes.push(b.end_table(start));
    }
    let places: Vec<_> = tensors.iter().zip(1..).map(|(t, buffer)| tensor(b, t, buffer)).collect();
    let operators: Vec<_> = operators.iter().zip(0..).map(|(o, index)| operator(b, o, index)).collect();
    let (places, operators) = (b.create_vector(&places), b.create_vector(&operators));
    let (inputs, outputs) = (b.create_vector(&[0i32]), b.create_vector(&[output]));
    let start = b.start_table();
    b.push_slot_always(slot(0), places);
    b.push_slot_always(slot(1), inputs);
    b.push_slot_always(slot(2), outputs);
    b.push_slot_always(slot(3), operators);
    let graph = b.end_table(start);
    let (graphs, codes, buffers) = (b.create_vector(&[graph]), b.create_vector(&codes), b.create_vector(&buffers));
    let start = b.start_table();
    b.push_slot(slot(0), 3u32, 0u32);
    b.push_slot_always(slot(1), codes);
    b.push_slot_always(slot(2), graphs);
    b.push_slot_always(slot(4), buffers);
    let model = b.end_table(start);
    b.finish(model, Some("TFL3"));
    builder.finished_data().to_vec()
}
