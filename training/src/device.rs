//! Which device computes, and why. The only file that knows how CUDA gets into the program.
//!
//! The program is linked against libtorch's CPU libraries alone, so that it starts on any machine. Where a driver and
//! `libtorch_cuda.so` are found, that library is opened at run time; it registers itself with libtorch when it is loaded.

#![allow(unsafe_code)] // dlopen, argued below

use crate::Error;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tch::Device;

/// The device a user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where there is one that works, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number, from 0.
    Cuda(usize),
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(DeviceChoice::Cuda)
                .ok_or_else(|| format!("{name:?} is not one of auto, cpu, cuda, cuda:N")),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// A device that works, and the reason it was taken, for the user to read.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The device.
    pub device: Device,
    /// The reason, as a clause: `no CUDA driver (libcuda.so.1) on this machine`.
    pub why: String,
}

impl std::fmt::Display for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.device {
            Device::Cuda(number) => write!(f, "cuda:{number}: {}", self.why),
            _ => write!(f, "cpu: {}", self.why),
        }
    }
}

impl DeviceChoice {
    /// Finds the device. Must come before any other use of libtorch in the process: what CUDA offers is asked once, at
    /// libtorch's first call, and never again.
    ///
    /// # Errors
    /// `Device` when a GPU was asked for by name and cannot be used.
    pub fn choose(self) -> Result<Chosen, Error> {
        match self {
            DeviceChoice::Cpu => Ok(Chosen { device: Device::Cpu, why: "asked for".to_string() }),
            DeviceChoice::Auto => Ok(match gpus() {
                Ok(count) => Chosen { device: Device::Cuda(0), why: format!("{count} CUDA device(s) found") },
                Err(why) => Chosen { device: Device::Cpu, why: why.to_string() },
            }),
            DeviceChoice::Cuda(number) => match gpus() {
                Ok(count) if number < count => Ok(Chosen { device: Device::Cuda(number), why: "asked for".to_string() }),
                Ok(count) => Err(Error::Device { name: self.to_string(), why: format!("there are {count}, counted from 0") }),
                Err(why) => Err(Error::Device { name: self.to_string(), why: why.to_string() }),
            },
        }
    }
}

/// Sets how many threads libtorch computes with on the CPU; `None` takes what `OMP_NUM_THREADS` says, as other programs on
/// libtorch do, or all that this process may use. Its threads wait for each other by spinning, so more of them than free
/// cores make it slower many times over.
pub fn set_threads(threads: Option<usize>) {
    let asked = || std::env::var("OMP_NUM_THREADS").ok()?.parse().ok();
    let cores = || std::thread::available_parallelism().ok().map(usize::from);
    let threads = threads.or_else(asked).or_else(cores).unwrap_or(1);
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX).max(1));
}

/// The number of usable GPUs, at least 1, or why there is none. The answer is found once per process.
fn gpus() -> Result<usize, &'static str> {
    static ANSWER: OnceLock<Result<usize, String>> = OnceLock::new();
    let answer = ANSWER.get_or_init(|| {
        open_cuda()?;
        match tch::Cuda::device_count() {
            count if count > 0 && tch::Cuda::is_available() => Ok(count as usize),
            _ => Err("libtorch finds no CUDA device although the driver is here".to_string()),
        }
    });
    match answer {
        Ok(count) => Ok(*count),
        Err(why) => Err(why),
    }
}

/// Loads libtorch's CUDA half.
fn open_cuda() -> Result<(), String> {
    open(c"libcuda.so.1").map_err(|_| "no CUDA driver (libcuda.so.1) on this machine".to_string())?;
    let folder = libtorch_folder().ok_or("cannot see where libtorch was loaded from")?;
    let library = folder.join("libtorch_cuda.so");
    if !library.exists() {
        return Err(format!("{} is missing: this libtorch is for the CPU only", library.display()));
    }
    let name = CString::new(library.as_os_str().as_encoded_bytes()).map_err(|_| "libtorch's path holds a zero byte".to_string())?;
    open(&name)
}

/// The folder of the `libtorch_cpu.so` in this process, links resolved.
fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so")).and_then(|line| line.find('/').map(|at| &line[at..]))?;
    Path::new(path).parent().map(Path::to_path_buf)
}

/// Opens a shared library for the rest of the process, its symbols visible to all others.
fn open(name: &CStr) -> Result<(), String> {
    // SAFETY: `name` is a valid C string for the call. Loading runs the library's initialisers; the libraries named here
    // are NVIDIA's driver and libtorch's own, whose initialisers are made to be run by dlopen at any time. The handle is
    // never closed, so nothing can point into an unloaded library. dlerror's text is copied before any other dl call.
    unsafe {
        if libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL).is_null() {
            let message = libc::dlerror();
            return Err(if message.is_null() {
                format!("cannot load {name:?}")
            } else {
                CStr::from_ptr(message).to_string_lossy().into_owned()
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for name in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(name.parse::<DeviceChoice>().expect("a choice").to_string(), name);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for name in ["gpu", "cuda:", "cuda:-1", "cuda:x", ""] {
            assert!(name.parse::<DeviceChoice>().is_err(), "{name}");
        }
    }

    #[test]
    fn finds_libtorch_in_this_process() {
        let folder = libtorch_folder().expect("tests are linked against libtorch");
        assert!(folder.join("libtorch_cpu.so").exists());
    }

    #[test]
    fn a_missing_gpu_is_an_error_only_when_asked_for() {
        let auto = DeviceChoice::Auto.choose().expect("always a device");
        assert!(!auto.why.is_empty());
        let far = DeviceChoice::Cuda(4096).choose();
        assert!(matches!(far, Err(Error::Device { .. })), "{far:?}");
    }
}
