//! Studies: experiments that anyone can run again, on solution bundles ([`bundle`]) and on image networks ([`image`]).

pub mod bundle;
pub mod findings;
pub mod image;
