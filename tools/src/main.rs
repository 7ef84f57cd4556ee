//! The program `sirocco`; all of its code is in the library.

fn main() -> std::process::ExitCode {
    sirocco_tools::cli::main()
}
