//! Codes in pictures: realistic ones, and hostile ones.

use std::{
    f32::consts::PI,
    time::{Duration, Instant},
};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgba, RgbaImage, imageops};

use super::*;
use crate::pairing::{LinkSecret, qr, tests::Seeded};

/// Time limit for any picture. The search is bounded in work and not in time, and the test machine may be busy, so the
/// limit is generous.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

fn link(seed: u64) -> Link {
    let id = iroh::SecretKey::from_bytes(&[seed as u8 + 1; 32]).public();
    let host = iroh::EndpointAddr::new(id)
        .with_ip_addr("192.168.178.20:11204".parse().unwrap())
        .with_ip_addr("[2001:db8:1:2:3:4:5:6]:11204".parse().unwrap())
        .with_relay_url("https://euc1-1.relay.n0.iroh.link./".parse().unwrap());
    Link::pair(host, LinkSecret::generate(&mut Seeded::new(seed, "picture")).unwrap())
}

/// Draws a text as a QR code, each module `module` pixels wide.
fn drawn(text: &str, module: u32) -> GrayImage {
    let rows = qr::rows(text).unwrap();
    let side = (rows.len() as u32 + 8) * module;
    GrayImage::from_fn(side, side, |x, y| {
        let at = |v: u32| (v / module).checked_sub(4).map(|v| v as usize);
        let dark =
            at(y).zip(at(x)).is_some_and(|(y, x)| rows.get(y).is_some_and(|row| row.as_bytes().get(x) == Some(&b'#')));
        Luma([if dark { 0 } else { 255 }])
    })
}

/// Places the code on a larger picture of another brightness.
fn placed(code: &GrayImage, width: u32, height: u32, around: u8) -> GrayImage {
    let mut out = GrayImage::from_pixel(width, height, Luma([around]));
    imageops::overlay(&mut out, code, i64::from((width - code.width()) / 2), i64::from((height - code.height()) / 2));
    out
}

/// Rotates the code and tilts it in perspective, as by a camera held at an angle.
fn aslant(code: &GrayImage, degrees: f32, lean: f32) -> GrayImage {
    let (side, (sin, cos)) = (code.width() as f32, (degrees * PI / 180.0).sin_cos());
    let out = (side * 1.6) as u32;
    GrayImage::from_fn(out, out, |x, y| {
        let (x, y) = (x as f32 - out as f32 / 2.0, y as f32 - out as f32 / 2.0);
        let depth = 1.0 + lean * y / side;
        let (x, y) = (x / depth, y / depth);
        let (u, v) = (cos * x + sin * y + side / 2.0, cos * y - sin * x + side / 2.0);
        if u < 0.0 || v < 0.0 {
            Luma([150])
        } else {
            code.get_pixel_checked(u as u32, v as u32).copied().unwrap_or(Luma([150]))
        }
    })
}

/// Adds blur, noise, and light that falls off to one side.
fn photographed(code: &GrayImage, blur: f32, seed: u64) -> GrayImage {
    let mut out = imageops::blur(code, blur);
    let mut noise = Seeded::new(seed, "noise");
    let width = out.width() as i32;
    for (x, _, pixel) in out.enumerate_pixels_mut() {
        let [grain] = noise.bytes::<1>();
        let light = 40 + i32::from(pixel.0[0]) * 3 / 5 - (x as i32 * 40 / width) + i32::from(grain % 25) - 12;
        pixel.0[0] = light.clamp(0, 255) as u8;
    }
    out
}

fn encoded(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(picture: GrayImage) -> Vec<u8> {
    encoded(picture.into(), ImageFormat::Png)
}

/// Reads a picture, and asserts that it took no longer than the limit.
fn read(bytes: &[u8]) -> Result<Link, PictureError> {
    let began = Instant::now();
    let found = link_in_file(bytes);
    assert!(began.elapsed() < TEST_TIMEOUT, "took {:?}", began.elapsed());
    found
}

#[test]
fn every_kind_of_file_gives_the_link() {
    let (link, code) = (link(1), drawn(&link(1).to_uri(), 4));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp] {
        let picture = DynamicImage::from(code.clone());
        let picture = if format == ImageFormat::Gif { picture.into_rgba8().into() } else { picture.into_rgb8().into() };
        assert_eq!(read(&encoded(picture, format)), Ok(link.clone()), "{format:?}");
    }
    let rgba = DynamicImage::from(code).into_rgba8();
    assert_eq!(link_in_rgba(rgba.width(), rgba.height(), rgba.into_raw()), Ok(link));
}

#[test]
fn screenshots_of_all_sizes_give_the_link() {
    let link = link(2);
    for (module, width, height) in [(1, 100, 100), (2, 1280, 800), (3, 1920, 1080), (5, 3840, 2160), (6, 5120, 1440)] {
        let code = drawn(&link.to_uri(), module);
        let screen = placed(&code, width.max(code.width()), height.max(code.height()), 20);
        assert_eq!(read(&png(screen)), Ok(link.clone()), "{module} pixels a module on {width}x{height}");
    }
}

#[test]
fn light_on_dark_and_transparent_codes_give_the_link() {
    let link = link(3);
    let mut inverted = drawn(&link.to_uri(), 5);
    imageops::invert(&mut inverted);
    assert_eq!(read(&png(placed(&inverted, 900, 700, 0))), Ok(link.clone()), "inverted");

    // Black modules on a transparent ground whose colour is black as well.
    let code = drawn(&link.to_uri(), 5);
    let clear =
        RgbaImage::from_fn(code.width(), code.height(), |x, y| Rgba([0, 0, 0, 255 - code.get_pixel(x, y).0[0]]));
    assert_eq!(read(&encoded(clear.into(), ImageFormat::Png)), Ok(link), "transparent");
}

#[test]
fn photos_give_the_link_however_the_camera_was_held() {
    let link = link(4);
    let code = drawn(&link.to_uri(), 6);
    for (degrees, lean) in
        [(0.0, 0.0), (90.0, 0.0), (180.0, 0.0), (17.0, 0.15), (-38.0, 0.1), (45.0, 0.0), (200.0, 0.2)]
    {
        let photo = photographed(&aslant(&code, degrees, lean), 1.6, 5);
        assert_eq!(read(&encoded(photo.into(), ImageFormat::Jpeg)), Ok(link.clone()), "{degrees} degrees, {lean} lean");
    }
}

#[test]
fn a_large_photo_is_looked_at_in_a_smaller_size() {
    let link = link(6);
    let code = drawn(&link.to_uri(), 16);
    let photo = photographed(&placed(&code, 3000, 2250, 120), 3.0, 6);
    assert_eq!(read(&encoded(photo.into(), ImageFormat::Jpeg)), Ok(link));
}

#[test]
fn of_several_codes_the_pairing_link_counts() {
    let (one, two) = (link(7), link(8));
    let beside = |texts: &[&str]| {
        let codes: Vec<_> = texts.iter().map(|text| drawn(text, 4)).collect();
        let height = codes.iter().map(GrayImage::height).max().unwrap();
        let mut sheet = GrayImage::from_pixel(codes.iter().map(GrayImage::width).sum(), height, Luma([255]));
        let mut x = 0;
        for code in &codes {
            imageops::overlay(&mut sheet, code, x, 0);
            x += i64::from(code.width());
        }
        read(&png(sheet))
    };
    let Link::Pair { host, .. } = one.clone() else { panic!("not for pairing") };
    let device = Link::device(host).to_uri();
    let other = "https://example.org/a-poster-on-the-wall-behind";
    assert_eq!(beside(&[other, &one.to_uri(), &device]), Ok(one.clone()));
    assert_eq!(beside(&[&one.to_uri(), &one.to_uri()]), Ok(one.clone()), "the same one twice");
    assert_eq!(beside(&[&one.to_uri(), &two.to_uri()]), Err(PictureError::SeveralCodes));
    assert_eq!(beside(&[other, &device]), Err(PictureError::OtherCode));
    assert_eq!(PictureError::OtherCode.code(), "no_code_in_picture");
    let broken = beside(&["yonder:pair?e=nonsense&s=nonsense"]).unwrap_err();
    assert_eq!(broken.code(), "link_invalid");
}

#[test]
fn a_picture_without_a_code_says_so() {
    let blank = png(GrayImage::from_pixel(640, 480, Luma([255])));
    let error = read(&blank).unwrap_err();
    assert_eq!((error.code(), error.hint().is_empty()), ("no_code_in_picture", false));
    let mut noise = Seeded::new(9, "noise");
    let static_snow = GrayImage::from_fn(640, 480, |_, _| Luma(noise.bytes::<1>()));
    assert_eq!(read(&png(static_snow)), Err(PictureError::NoCode));
}

#[test]
fn what_is_no_picture_is_refused() {
    for bytes in
        [&b""[..], b"yonder:pair?e=x", b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"II*\0\x08\0\0\0"]
    {
        assert_eq!(read(bytes), Err(PictureError::Unreadable), "{bytes:?}");
    }
    assert_eq!(link_in_rgba(4, 4, vec![0; 63]), Err(PictureError::Unreadable));
    assert_eq!(link_in_rgba(0, 0, Vec::new()), Err(PictureError::Unreadable));
    assert_eq!(link_in_rgba(u32::MAX, u32::MAX, Vec::new()), Err(PictureError::TooLarge));
    assert_eq!(read(&vec![0; MAX_PICTURE as usize + 1]), Err(PictureError::TooLarge));
}

#[test]
fn a_file_that_is_none_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code.txt");
    std::fs::write(&path, png(drawn(&link(12).to_uri(), 4))).unwrap();
    assert_eq!(link_at(&path), Ok(link(12)), "whatever its name says");
    assert_eq!(link_at(folder.path()), Err(PictureError::Unreadable));
    #[cfg(unix)]
    assert_eq!(link_at(Path::new("/dev/zero")), Err(PictureError::Unreadable));
    let missing = link_at(&folder.path().join("none.png")).unwrap_err();
    assert_eq!(missing.code(), "file");
    assert!(missing.to_string().starts_with("none.png: "), "{missing}");
    std::fs::File::create(&path).unwrap().set_len(MAX_PICTURE + 1).unwrap();
    assert_eq!(link_at(&path), Err(PictureError::TooLarge));
}

#[test]
fn a_picture_that_was_cut_or_changed_neither_panics_nor_hangs() {
    let code = DynamicImage::from(drawn(&link(10).to_uri(), 2)).into_rgb8();
    let mut random = Seeded::new(10, "changes");
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp] {
        let whole = encoded(code.clone().into(), format);
        for part in 0..24 {
            let _ = read(&whole[..whole.len() * part / 24]);
        }
        for _ in 0..40 {
            let mut changed = whole.clone();
            for _ in 0..1 + changed.len() / 400 {
                let [at, value] = random
                    .bytes::<16>()
                    .chunks(8)
                    .map(|eight| u64::from_le_bytes(eight.try_into().unwrap()))
                    .collect::<Vec<_>>()[..]
                else {
                    panic!("not two")
                };
                let at = at as usize % changed.len();
                changed[at] = value as u8;
            }
            let _ = read(&changed);
        }
        for length in [16, 256, 4096] {
            let mut noise = whole[..whole.len().min(16)].to_vec();
            noise.extend((0..length).map(|_| random.bytes::<1>()[0]));
            let _ = read(&noise);
        }
    }
}

/// Computes the CRC-32 of a PNG chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 6, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    out.extend(&chunk);
    out.extend(crc(&chunk).to_be_bytes());
    out.extend(b"\0\0\0\x08IDAT\x78\x9c\x03\0\0\0\0\x01\0\0\0\0");
    out
}

#[test]
fn a_header_that_claims_to_be_huge_makes_no_room() {
    for (width, height) in [(0x7fff_ffff, 0x7fff_ffff), (0x7fff_ffff, 1), (1, 0x7fff_ffff), (16_384, 16_384)] {
        assert_eq!(read(&png_header(width, height)), Err(PictureError::TooLarge), "PNG {width}x{height}");
    }
    let mut bmp = encoded(GrayImage::new(4, 4).into(), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000_i32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000_i32.to_le_bytes());
    assert_eq!(read(&bmp), Err(PictureError::TooLarge), "BMP");
    let mut gif = encoded(DynamicImage::new_rgba8(4, 4), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0xff; 4]);
    assert_eq!(read(&gif), Err(PictureError::TooLarge), "GIF");
    let mut jpeg = encoded(GrayImage::new(16, 16).into(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_eq!(read(&jpeg), Err(PictureError::TooLarge), "JPEG");
}

/// Draws a picture full of finder patterns, of which the search would try all triples.
fn carpet(side: u32, module: u32) -> GrayImage {
    GrayImage::from_fn(side, side, |x, y| {
        let (x, y) = (x / module % 9, y / module % 9);
        let ring = |v: u32| !(1..=7).contains(&v);
        let dark = !ring(x)
            && !ring(y)
            && (x == 1 || x == 7 || y == 1 || y == 7 || ((3..=5).contains(&x) && (3..=5).contains(&y)));
        Luma([if dark { 0 } else { 255 }])
    })
}

#[test]
fn pictures_made_to_keep_the_search_busy_come_to_an_end() {
    // At full size, because a smaller picture would not reveal quadratic growth.
    let side = LONGEST;
    let comb = GrayImage::from_fn(side, side, |x, y| Luma([if y == 0 || x % 2 == 0 { 0 } else { 255 }]));
    let board = GrayImage::from_fn(side, side, |x, y| Luma([if (x + y) % 2 == 0 { 0 } else { 255 }]));
    let bars = GrayImage::from_fn(side, side, |x, _| Luma([if [0, 2, 3, 4, 6].contains(&(x % 8)) { 0 } else { 255 }]));
    for (name, picture) in [
        ("carpet", carpet(side, 1)),
        ("large carpet", carpet(side, 7)),
        ("comb", comb),
        ("board", board),
        ("bars", bars),
    ] {
        let picture = png(picture);
        let began = Instant::now();
        assert_eq!(read(&picture), Err(PictureError::NoCode), "{name}");
        println!("{name}: {:?}", began.elapsed());
    }
}

#[test]
fn errors_name_the_way_out_and_the_link_is_not_in_them() {
    let text = link(11).to_uri();
    let mut broken = text.to_string();
    broken.truncate(text.len() - 3);
    let error = read(&png(drawn(&broken, 4))).unwrap_err();
    let said = format!("{error} {error:?} {}", error.hint());
    assert!(!said.contains(&text[20..60]), "{said}");
}
