//! Lets the program and its tests find libtorch without LD_LIBRARY_PATH: its folder is written into the executables. Keeps it out of the
//! one that does not compute with it.

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=build.rs");
    // What the wrappers around libtorch define and libtorch itself asks for would else count as used.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-link-arg-bin=diptych=-Wl,--exclude-libs,ALL");
    }
    let Some(libtorch) = std::env::var_os("LIBTORCH").map(std::path::PathBuf::from) else { return };
    // The folder of the file itself, behind any link to it: libtorch names its neighbours relative to where it was found.
    if let Some(folder) = libtorch.join("lib/libtorch_cpu.so").canonicalize().ok().as_deref().and_then(std::path::Path::parent) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
