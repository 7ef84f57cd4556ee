//! What the end-to-end suites share: small models, the project's programs, the tolerance table, a reader of imports.
#![allow(clippy::disallowed_methods, reason = "host-only: tests compare with the host's own functions")]

pub mod fixture;
pub mod imports;
pub mod markup;
pub mod program;
pub mod tolerance;
