//! The code that the Picos run while their flash cannot be read lies in RAM and calls nothing in flash.

use object::{Object, ObjectSection, ObjectSymbol};
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::output::Output;

#[test]
fn what_runs_without_flash_lies_in_ram_and_calls_nothing_directly() {
    for name in ["rpi-pico", "rpi-pico2"] {
        let board = Board::find(name).unwrap();
        if !cargo::has_target(&board.target) {
            eprintln!("skipped for {name}: no Rust target here; run `sirocco setup`");
            continue;
        }
        let elf = std::fs::read(cargo::build(&board, Output { json: false, quiet: true }).unwrap()).unwrap();
        let file = object::File::parse(elf.as_slice()).unwrap();
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok("sirocco_without_xip")).unwrap();
        // The lowest bit of an address marks Thumb code.
        let (address, size) = (symbol.address() & !1, symbol.size());
        assert!((0x2000_0000..0x2010_0000).contains(&address), "{name}: {address:#x}");
        assert!((20..200).contains(&size), "{name}: {size} bytes");
        let section = file.section_by_index(symbol.section_index().unwrap()).unwrap();
        let code = section.data_range(address, size).unwrap().unwrap();
        let halves: Vec<u16> = code.chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]])).collect();
        // BL, a call to an address that is part of the instruction: 11110... 11.1... (ARMv6-M manual, A6.7.13).
        let direct = halves.windows(2).filter(|pair| pair[0] >> 11 == 0b11110 && pair[1] & 0xD000 == 0xD000).count();
        assert_eq!(direct, 0, "{name}: {halves:04x?}");
        // BLX to a register: five routines of the ROM (one of two changes), and the setup; the last may be a jump.
        let indirect = halves.iter().filter(|half| *half & 0xFF87 == 0x4780).count();
        let jumps = halves.iter().filter(|half| *half & 0xFF87 == 0x4700).count();
        assert!(indirect >= 5 && indirect + jumps >= 6, "{name}: {halves:04x?}");
    }
}
