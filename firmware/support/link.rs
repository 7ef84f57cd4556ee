//! Build script of every board: link arguments reach a binary only through its own package, and so does the folder
//! where `link.x` finds the board's `memory.x`.

fn main() {
    println!("cargo:rerun-if-changed=memory.x");
    if let Ok(folder) = std::env::var("CARGO_MANIFEST_DIR") {
        println!("cargo:rustc-link-search={folder}");
    }
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
