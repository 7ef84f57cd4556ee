//! `lenet16` on an emulated device with 64 KiB of flash and 16 KiB of RAM (`firmware/images/classifier`): what it takes of
//! both, and that its answers to 200 USPS digits are the host's, bit for bit.

use sirocco::image::Network;
use sirocco::layer::kernel::Portable;
use sirocco::model::Model;
use sirocco_tests::program::{emulates, root};
use sirocco_tools::device::bench;
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::device::elf::Firmware;
use sirocco_tools::device::qemu::{Emulator, Image};
use sirocco_tools::output::Output;
use sirocco_trainer::dataset::{self, Folder, Split};
use sirocco_trainer::host::model_file;
use sirocco_trainer::image::answers::image_bytes;
use std::io::{Read, Write};
use std::time::Duration;

const FLASH: u64 = 64 * 1024;
const RAM: u64 = 16 * 1024;
const IMAGES: usize = 200;

#[test]
fn digits_are_classified_within_64_kib_of_flash_and_16_of_ram() {
    let board = Board { name: "sirocco-classifier".into(), ..Board::find(bench::BOARD).unwrap() };
    if !emulates(&board.target) {
        return;
    }
    let file = root().join("tests/data/digits-int8.safetensors");
    let bytes = model_file::read(&file).unwrap();
    let model = Model::open(&bytes).unwrap();
    let network = Network::open(&model).unwrap();

    let elf = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
    let content = std::fs::read(&elf).unwrap();
    let sizes = Firmware::parse(&elf, &content).unwrap().sizes().unwrap();
    let flash = sizes.flash + bytes.len() as u64;
    assert!(flash <= FLASH, "{} bytes of code and {} of model", sizes.flash, bytes.len());

    let image = Image { board: &board, elf: &elf, model: Some(&file), flash: None };
    let (_emulator, mut line) = Emulator::tcp(image, |_| ()).unwrap();
    line.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut hello = [0; 4];
    line.read_exact(&mut hello).unwrap();
    assert_eq!(hello, [0, 1, 10, 1], "256 bytes, 10 classes, format 1");

    // The whole test set, if it was downloaded, otherwise the digits that are part of the program.
    let real = dataset::find("usps").unwrap().load(&Folder::named(None), Split::Test);
    let (images, which) = match real {
        Ok(images) => (images, "usps"),
        Err(_) => {
            (dataset::find("fixture-usps").unwrap().load(&Folder::named(None), Split::Test).unwrap(), "fixture-usps")
        }
    };
    let (mut arena, mut stack, mut right) = (vec![0; network.arena()], 0, 0);
    for index in 0..IMAGES {
        let pixels = image_bytes(images.image(index), 1);
        line.write_all(&pixels).unwrap();
        let mut answer = [0; 12 + 4 * 10];
        line.read_exact(&mut answer).unwrap();
        let logits = network.logits::<Portable>(&pixels, &mut arena).unwrap();
        let host = logits.classify(network.abstain());
        let mut expected = vec![host.class as u8, host.abstain.into(), answer[2], answer[3]];
        let numbers = [host.probability, host.entropy].into_iter().chain(logits.values().iter().copied());
        expected.extend(numbers.flat_map(f32::to_le_bytes));
        assert_eq!(answer[..], expected[..], "image {index}");
        stack = u64::from(u16::from_le_bytes([answer[2], answer[3]]));
        right += usize::from(host.class == usize::from(images.labels[index]));
    }
    let ram = sizes.ram + stack;
    println!(
        "{which}: {right} of {IMAGES} right; flash {} + {} = {flash} of {FLASH} bytes, RAM {} + {stack} of stack = {ram} of {RAM}",
        sizes.flash,
        bytes.len(),
        sizes.ram
    );
    // Part of the painted stack is untouched, so the stack never reached the variables.
    assert!(stack < sizes.stack && ram <= RAM, "{} bytes of variables, {stack} of stack", sizes.ram);
}
