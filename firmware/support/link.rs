//! Build script of every board. Cargo passes link arguments, and the folder in which `link.x` finds the board's `memory.x`,
//! only to binaries of the package whose build script states them.

fn main() {
    println!("cargo:rerun-if-changed=memory.x");
    if let Ok(folder) = std::env::var("CARGO_MANIFEST_DIR") {
        println!("cargo:rustc-link-search={folder}");
    }
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
