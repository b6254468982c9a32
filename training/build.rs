//! Lets the tests of this crate find libtorch without LD_LIBRARY_PATH: the folders are written into the executables.

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=build.rs");
    let Some(libtorch) = std::env::var_os("LIBTORCH").map(std::path::PathBuf::from) else { return };
    // `link/lib` names what the linker may see; the wheel's own folder has the rest of libtorch beside it.
    for folder in [libtorch.join("lib"), libtorch.join("../site/torch/lib")] {
        if let Ok(folder) = folder.canonicalize() {
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
        }
    }
}
