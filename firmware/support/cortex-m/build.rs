//! Lets a board's `memory.x` say `INCLUDE symbols.x`, and sets `dsp` for cores with DSP instructions.

fn main() {
    println!("cargo:rerun-if-changed=symbols.x");
    println!("cargo:rustc-check-cfg=cfg(dsp)");
    if std::env::var("TARGET").is_ok_and(|target| target == "thumbv7em-none-eabihf") {
        println!("cargo:rustc-cfg=dsp");
    }
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
}
