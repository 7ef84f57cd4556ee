//! Lets the `memory.x` of AN385 and AN386 say `INCLUDE ssram.x`.

fn main() {
    println!("cargo:rerun-if-changed=ssram.x");
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
}
