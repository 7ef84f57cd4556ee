//! A folder of pictures as a user has it, made by the test: rotated, transparent, 16-bit, palette, misnamed, broken, claiming too
//! much. What is said of each file, and that the program sees what a person sees.

use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};
use serde_json::Value;
use sirocco_cost::BOARDS;
use sirocco_tests::program::{assert_fails, json, root, sirocco, train};
use std::fs;
use std::path::Path;

/// A picture of a bright half (class `up` above, `down` below), 16 columns by 24 rows, with some noise of its own.
fn half(up: bool, seed: usize) -> Vec<u8> {
    let noise = |at: usize| ((at * 7919 + seed * 104_729) % 31) as u8;
    (0..24 * 16).map(|at| noise(at) + if (at < 12 * 16) == up { 200 } else { 20 }).collect()
}

fn png(bytes: &[u8], [width, height]: [u32; 2], color: ExtendedColorType) -> Vec<u8> {
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(bytes, width, height, color).unwrap();
    file
}

fn jpeg(bytes: &[u8], [width, height]: [u32; 2], orientation: Option<u8>) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 95).encode(bytes, width, height, ExtendedColorType::L8).unwrap();
    if let Some(orientation) = orientation {
        let tiff =
            [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation, 0, 0, 0, 0, 0, 0, 0]].concat();
        let length = (8 + tiff.len()) as u16;
        let segment = [&[0xFF, 0xE1], &length.to_be_bytes()[..], b"Exif\0\0", &tiff].concat();
        file.splice(2..2, segment);
    }
    file
}

/// The pixels of a picture, turned by a quarter clockwise.
fn turned(bytes: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
    (0..width * height).map(|at| bytes[(height - 1 - at % height) * width + at / height]).collect()
}

/// A folder with a picture of every kind that can be read in class `up`, and plain ones in both.
fn folder(place: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let size = [16, 24];
    for seed in 0..20 {
        write(&format!("up/{seed}.png"), &png(&half(true, seed), size, ExtendedColorType::L8));
        write(&format!("down/{seed}.jpg"), &jpeg(&half(false, seed), size, None));
    }
    let up = half(true, 50);
    // Held with the right side up: what was above lies at the left (EXIF 6 turns it back by a quarter, clockwise).
    let camera = turned(&turned(&turned(&half(true, 51), [16, 24]), [24, 16]), [16, 24]);
    write("up/turned.jpg", &jpeg(&camera, [24, 16], Some(6)));
    let ink: Vec<u8> = up.iter().flat_map(|value| [0, 255 - value]).collect();
    write("up/transparent.png", &png(&ink, size, ExtendedColorType::La8));
    let deep: Vec<u8> = half(true, 52).iter().flat_map(|value| (u16::from(*value) * 257).to_ne_bytes()).collect();
    write("up/deep.png", &png(&deep, size, ExtendedColorType::L16));
    let color: Vec<u8> = half(true, 53).iter().flat_map(|value| [*value, *value, value / 2]).collect();
    write("up/color.png", &png(&color, size, ExtendedColorType::Rgb8));
    let bits: Vec<u8> = half(true, 54).iter().map(|value| u8::from(*value < 128)).collect();
    let rows: Vec<String> = bits.chunks(16).map(|row| row.iter().map(|bit| bit.to_string() + " ").collect()).collect();
    write("up/bits.pbm", format!("P1\n16 24\n{}\n", rows.join("\n")).as_bytes());
    write("up/gray.pgm", &[b"P5\n# by hand\n16 24 255\n", &half(true, 55)[..]].concat());
    write("up/misnamed.png", &jpeg(&half(true, 56), size, None));
    let big: Vec<u8> = (0..480 * 320).map(|at| if at < 240 * 320 { 210 } else { 30 }).collect();
    write("up/big.jpg", &jpeg(&big, [320, 480], None));
    // What cannot be read, or is no picture.
    write("down/cut.jpg", &jpeg(&half(false, 60), size, None)[..300]);
    write("down/empty.png", b"");
    write("down/notes.txt", b"taken on Monday");
    write("down/phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    write("down/huge.pgm", b"P5 100000 100000 255\n\x07");
    let dim: Vec<u8> = half(false, 61).iter().flat_map(|value| (u16::from(*value) << 4).to_ne_bytes()).collect();
    write("down/dim.png", &png(&dim, size, ExtendedColorType::L16));
    write("down/Thumbs.db", b"left behind by a system");
    write("stray.png", &png(&up, size, ExtendedColorType::L8));
}

/// What is said of the file of this name.
fn said(report: &Value, name: &str) -> Option<String> {
    let remarks = report["remarks"].as_array().unwrap();
    let of = remarks.iter().find(|remark| remark["file"].as_str().unwrap().ends_with(name))?;
    Some(format!("{}{}", if of["skipped"] == true { "" } else { "read: " }, of["what"].as_str().unwrap()))
}

#[test]
fn every_file_that_is_not_what_it_seems_is_named() {
    let place = tempfile::tempdir().unwrap();
    folder(place.path());
    let path = place.path().to_str().unwrap();
    let checked = json(&train(&["data", "check", path, "--json"]));
    let report = &checked["sets"][0]["pictures"];
    for (name, what) in [
        ("cut.jpg", "is a JPEG file that is cut off"),
        ("empty.png", "is empty"),
        ("notes.txt", "is not a picture"),
        ("phone.jpg", "is a HEIC file"),
        ("huge.pgm", "claims 100000 x 100000 pixels"),
        ("dim.png", "uses only the lower 12"),
        ("stray.png", "is in no class's folder"),
        ("misnamed.png", "read: is a JPEG file in spite of its name"),
    ] {
        let said = said(report, name).unwrap_or_default();
        assert!(said.contains(what), "{name}: {said}");
    }
    assert_eq!((report["skipped"].as_u64(), report["remarks"].as_array().unwrap().len()), (Some(7), 8), "{report}");
    let counts = report["classes"].as_array().unwrap();
    let count = |class: &Value| class["train"].as_u64().unwrap() + class["test"].as_u64().unwrap();
    assert_eq!(counts.iter().map(count).collect::<Vec<_>>(), [20, 28]);
    assert!(report["split"].as_str().unwrap().contains("by a hash of the content"));
    assert_fails(&train(&["data", "check", path, "--strict"]), 1, "--strict was given");

    // More pictures leave the others where they are.
    let more = place.path().join("down/later.png");
    fs::write(more, png(&half(false, 99), [16, 24], ExtendedColorType::L8)).unwrap();
    let after = json(&train(&["data", "check", path, "--json"]));
    let of = |checked: &Value, class: usize, part: &str| {
        checked["sets"][0]["pictures"]["classes"][class][part].as_u64().unwrap()
    };
    assert_eq!([of(&after, 1, "train"), of(&after, 1, "test")], [of(&checked, 1, "train"), of(&checked, 1, "test")]);
    assert_eq!(of(&after, 0, "train") + of(&after, 0, "test"), 21);
}

/// The program sees every picture upright, light where it is light: a row of means per half, from the contact sheet.
#[test]
fn pictures_of_every_kind_are_seen_as_a_person_sees_them() {
    let place = tempfile::tempdir().unwrap();
    folder(place.path());
    // Only what is in `up`, all of it in one row; `down` gets one picture.
    let sheet = place.path().join("sheet.png");
    let arguments = ["data", "preview", place.path().to_str().unwrap(), "--per-class", "100", "--test-share", "0.01"];
    let out = ["--out", sheet.to_str().unwrap(), "--size", "24", "--fit", "stretch", "--json"];
    json(&train(&[&arguments[..], &out].concat()));
    let sheet = image::open(&sheet).unwrap().into_luma8();
    // Two rows of pictures, and two pixels between; pictures are enlarged by two.
    let (side, step) = (48, 50);
    let mean = |row: u32, column: u32, upper: bool| {
        let at = |k: u32| (column * step + k % side, row * step + k / side + if upper { 0 } else { side / 2 });
        let sum: u32 = (0..side * side / 2).map(at).map(|(x, y)| u32::from(sheet.get_pixel(x, y).0[0])).sum();
        sum / (side * side / 2)
    };
    let columns = sheet.width() / step;
    let seen: Vec<(u32, u32)> = (0..columns).map(|column| (mean(1, column, true), mean(1, column, false))).collect();
    let pictures: Vec<&(u32, u32)> = seen.iter().filter(|halves| **halves != (255, 255)).collect();
    assert!(pictures.len() >= 26, "{seen:?}");
    assert!(pictures.iter().all(|(upper, lower)| *upper > 150 && *lower < 110), "{seen:?}");
}

#[test]
fn tables_and_folders_of_parts_are_data_sets() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut table = String::from("file,label,split\n");
    for seed in 0..8 {
        let (class, part) = (["up", "down"][seed % 2], if seed < 6 { "train" } else { "test" });
        let file = png(&half(seed % 2 == 0, seed), [16, 24], ExtendedColorType::L8);
        write(&format!("parts/{part}/{class}/{seed}.png"), &file);
        write(&format!("table/{seed}.png"), &file);
        table += &format!("{seed}.png,{class},{part}\n");
    }
    write("table/labels.csv", table.as_bytes());
    for name in ["parts", "table", "table/labels.csv"] {
        let path = place.path().join(name);
        let checked = json(&train(&["data", "check", path.to_str().unwrap(), "--json"]));
        let set = &checked["sets"][0];
        assert_eq!((&set["train"], &set["test"]), (&serde_json::json!([3, 3]), &serde_json::json!([1, 1])), "{name}");
        assert!(set["pictures"]["split"].as_str().unwrap().contains("gives it"));
    }
    let listed = json(&train(&["data", "list", place.path().join("parts").to_str().unwrap(), "--json"]));
    assert_eq!((&listed["sets"][0]["train"], &listed["sets"][0]["classes"]), (&6.into(), &2.into()));
}

/// Training, and later classifying, sees a picture in the same way: how is in the file. A picture that is the wrong way round in
/// its light draws a remark.
#[test]
fn what_training_did_to_pictures_is_done_again_when_classifying() {
    let place = tempfile::tempdir().unwrap();
    let photos = place.path().join("photos");
    folder(&photos);
    for class in ["up", "down"] {
        for seed in 100..130 {
            let file = png(&half(class == "up", seed), [16, 24], ExtendedColorType::L8);
            fs::write(photos.join(class).join(format!("{seed}.png")), file).unwrap();
        }
    }
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (photos, f32, int8) = (path("photos"), path("f32.safetensors"), path("int8.safetensors"));
    let trained = train(&[
        "image",
        "pretrain",
        "--dataset",
        &photos,
        "--fit",
        "pad",
        "--background",
        "white",
        "--steps",
        "40",
        "--test-share",
        "0.3",
        "--out",
        &f32,
        "--json",
    ]);
    let said = String::from_utf8_lossy(&trained.stderr).into_owned();
    assert!(said.contains("split: 30 % for the test") && said.contains("cut off"), "{said}");
    json(&trained);
    // Nothing is said again: the file knows it.
    let quantized =
        json(&train(&["image", "quantize", &f32, "--dataset", &photos, "--withhold", "0", "--out", &int8, "--json"]));
    assert!(quantized["accuracy"].as_f64().unwrap() > 95.0, "{quantized}");
    let evaluated = json(&train(&["image", "evaluate", &int8, "--dataset", &photos, "--json"]));
    assert_eq!(evaluated["test_images"], quantized["test_images"], "the split is the same");
    let picture = |class: &str, name: &str| format!("{photos}/{class}/{name}");
    let files =
        [picture("up", "big.jpg"), picture("up", "turned.jpg"), picture("up", "color.png"), picture("down", "3.jpg")];
    let arguments = [&["classify", "--model", &int8, "--json"][..], &files.each_ref().map(String::as_str)].concat();
    let report = json(&sirocco(&arguments));
    let answers: Vec<&str> =
        report["answers"].as_array().unwrap().iter().map(|a| a["class"].as_str().unwrap()).collect();
    assert_eq!(answers, ["up", "up", "up", "down"], "{report}");
    assert_eq!(report["preparation"], "part=whole fit=pad filter=triangle background=#ffffff invert=no");
    assert_eq!(report["board"], "this machine");
    // Of another file than a picture, and of a picture that is no such thing.
    assert_fails(
        &sirocco(&["classify", "--model", &int8, &picture("down", "cut.jpg")]),
        1,
        "is a JPEG file that is cut off; copy",
    );
    assert_fails(&sirocco(&["classify", "--model", &int8, &picture("down", "phone.jpg")]), 1, "is a HEIC file");
}

/// The whole way in one command, from a folder to the file of a board, and back: pictures that it has never seen.
#[test]
fn a_folder_becomes_a_network_for_a_board() {
    let place = tempfile::tempdir().unwrap();
    let photos = place.path().join("photos");
    folder(&photos);
    for class in ["up", "down"] {
        for seed in 200..260 {
            let file = png(&half(class == "up", seed), [16, 24], ExtendedColorType::L8);
            fs::write(photos.join(class).join(format!("{seed}.png")), file).unwrap();
        }
    }
    let [photos, out] = [&photos, &place.path().join("trained")].map(|path| path.to_str().unwrap().to_owned());
    let common = ["image", "train", &photos, "--test-share", "0.3", "--epochs", "4", "--out", &out];
    let report = json(&train(&[&common[..], &["--board", "stm32f405", "--unknown", "down", "--json"]].concat()));
    assert!(report["accuracy"].as_f64().unwrap() > 90.0, "{report}");
    assert!(report["network"].as_str().unwrap().ends_with("-3x24x16"), "{report}");
    let number = |key: &str| report[key].as_u64().unwrap();
    assert!(
        number("bytes") <= number("flash") && number("arena") <= number("ram") && number("ram") == 65536,
        "{report}"
    );
    let rows = report["confusion"]["matrix"].as_array().unwrap();
    let counted: u64 = rows.iter().flat_map(|row| row.as_array().unwrap()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(counted, number("test_images"));
    assert!(report["unknown_missed"].is_number() && report["taken_for_unknown"].is_number());
    let page = fs::read_to_string(format!("{out}/report.html")).unwrap();
    assert!(page.contains("The worst mistakes") && page.contains("stm32f405"));
    let model = format!("{out}/model.safetensors");
    let evaluated = json(&train(&["image", "evaluate", &model, "--dataset", &photos, "--json"]));
    assert_eq!(evaluated["accuracy"], report["accuracy"], "the file finds its test pictures again");
    assert_fails(&train(&[&common[..], &["--unknown", "other"]].concat()), 2, "there is no class `other`");
    assert_fails(&train(&[&common[..], &["--board", "arduino"]].concat()), 2, "choose one of nrf52840-dk");
}

/// What the trainer knows of the boards is what their memory maps say.
#[test]
fn the_table_of_boards_is_that_of_their_memory_maps() {
    let folder = root().join("firmware/boards");
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, BOARDS.map(|board| board.name));
    for board in BOARDS {
        let mut map = fs::read_to_string(folder.join(board.name).join("memory.x")).unwrap();
        if map.contains("INCLUDE ssram.x") {
            map = fs::read_to_string(root().join("firmware/support/mps2/ssram.x")).unwrap();
        }
        let region = |name: &str| {
            let line = map.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
            let length = line.split("LENGTH = ").nth(1).unwrap().trim();
            let (number, unit) = length.split_at(length.len() - 1);
            number.parse::<usize>().unwrap() << if unit == "M" { 20 } else { 10 }
        };
        assert_eq!([board.flash, board.ram], [region("SLOT_0"), region("ARENA")], "{}", board.name);
    }
}
