//! The `sirocco` command; everything is in the library.

fn main() -> std::process::ExitCode {
    sirocco_tools::cli::main()
}
