//! A [`ModelInfo`] on the wire: one flat list of numbers and names for models of every kind.
//!
//! An image network states `image` for the system, the shape of its images for the form, and zeros for error and domain.

use crate::image::architecture::parse_image;
use crate::limits::MAX_QUANTITIES;
use crate::summary::{BundleInfo, Content, ModelInfo, ModelKind, Name, name};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
struct Flat {
    from_slot: bool,
    ode: Name,
    form: Name,
    scheme: Name,
    bytes: u32,
    crc32: u32,
    parameters: u32,
    macs: u32,
    max_error: f32,
    domain: [(f32, f32); MAX_QUANTITIES],
    golden: u16,
}

pub(super) fn serialize<S: Serializer>(model: &ModelInfo, serializer: S) -> Result<S::Ok, S::Error> {
    let (max_error, domain) = match &model.content {
        Content::Bundle(bundle) => (bundle.max_error, bundle.domain),
        Content::Image(_) => (0.0, [(0.0, 0.0); MAX_QUANTITIES]),
    };
    let flat = Flat {
        from_slot: model.from_slot,
        ode: name(model.subject()),
        form: model.form(),
        scheme: model.scheme.clone(),
        bytes: model.bytes,
        crc32: model.crc32,
        parameters: model.parameters,
        macs: model.macs,
        max_error,
        domain,
        golden: model.golden,
    };
    flat.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ModelInfo, D::Error> {
    let Flat { from_slot, ode, form, scheme, bytes, crc32, parameters, macs, max_error, domain, golden } =
        Flat::deserialize(deserializer)?;
    let content = if ode == ModelKind::Image.name() {
        Content::Image(parse_image(&form).ok_or_else(|| D::Error::custom("not a shape of images"))?)
    } else {
        Content::Bundle(BundleInfo { ode, form, max_error, domain })
    };
    Ok(ModelInfo { from_slot, scheme, bytes, crc32, parameters, macs, golden, content })
}
