//! Finds the pairing link in a picture: a screenshot, a photo of a screen, a saved file.
//!
//! A picture is untrusted input. Its size is checked before memory is allocated, the decoders and the search run under
//! a budget of work and of memory, and their panics are caught. The result is a [`Link`], parsed as strictly as any
//! other, and nothing happens because of it before the user agrees.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    rc::Rc,
};

use image::{
    DynamicImage, GenericImage, GenericImageView, GrayImage, ImageDecoder, ImageError, ImageReader, Limits, Luma,
    imageops,
};
use zeroize::Zeroizing;

use super::{Link, PairingError};
use crate::{
    api::Args,
    error::{RoomError, os_kind},
};

/// Largest file that is read, in bytes.
pub const MAX_PICTURE: u64 = 32 << 20;

/// Longest side of a picture in pixels, before it is scaled down.
const MAX_SIDE: u32 = 16_384;

/// Memory for one decoded picture, in bytes. A photo of 64 megapixels fits.
const MAX_DECODED: u64 = 256 << 20;

/// Longest side in pixels to which a larger picture is scaled down.
const LONGEST: u32 = 2600;

/// Longest side in pixels up to which a picture is enlarged three times, so that a module is more than a pixel or two.
const SMALL: u32 = 400;

/// Scales at which codes are searched, in percent and in order. The search is sensitive to scale: in a rotated and
/// blurred photo it finds a code at one scale and not at the next.
const SIZES: [u32; 6] = [100, 190, 135, 73, 53, 38];

/// Number of scales at which inverted codes (light on dark) are searched. They come from screens, which are sharp.
const INVERTED: usize = 2;

/// Budget of pixel accesses at one scale, per pixel. An honest picture takes 5 to 12.
const TOUCHES: u64 = 32;

/// Budget of pixel accesses in total. An honest picture without a code takes half of it.
const ALL_TOUCHES: u64 = 500_000_000;

/// Maximum number of finder patterns. The search tries all triples, so that a picture full of them would take days.
const MAX_CORNERS: u32 = 256;

/// Value with which the search library paints a finder pattern.
const CORNER: u8 = 2;

/// Reasons for which a picture yields no link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file cannot be read.
    #[error("{name}: {reason}")]
    File {
        /// File name without its folders.
        name: String,
        /// Error of the system.
        reason: String,
        /// Stable name of the error.
        os: Option<&'static str>,
    },
    /// Not a picture, of an unsupported format, or damaged.
    #[error("the picture cannot be read")]
    Unreadable,
    /// Too many bytes or pixels.
    #[error("the picture is too large")]
    TooLarge,
    /// No readable code.
    #[error("there is no code in the picture that can be read")]
    NoCode,
    /// A code that is not for pairing.
    #[error("the code in the picture is not for pairing")]
    OtherCode,
    /// More than one pairing code.
    #[error("there is more than one pairing code in the picture")]
    SeveralCodes,
    /// A pairing link that this version does not support.
    #[error("{0}")]
    Link(PairingError),
}

impl RoomError for PictureError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Unreadable => "picture_unreadable",
            Self::TooLarge => "picture_too_large",
            Self::NoCode | Self::OtherCode => "no_code_in_picture",
            Self::SeveralCodes => "several_codes_in_picture",
            Self::Link(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::File { .. } => "Check that it exists and that you may use it.".into(),
            Self::Unreadable => "Take a PNG, JPEG, GIF, WebP or BMP file.".into(),
            Self::TooLarge => "Take a screenshot, or a smaller photo: 32 MiB and 16,384 pixels a side at most.".into(),
            Self::NoCode => "Let the whole square be in the picture, with some room around it, and in focus.".into(),
            Self::OtherCode => "Take a picture of the square that Yonder shows under \"Show a code\".".into(),
            Self::SeveralCodes => "Cut out the one that you want.".into(),
            Self::Link(error) => error.hint(),
        }
    }

    fn args(&self) -> Args {
        match self {
            Self::File { name, os: Some(os), .. } => Args::new().with("path", name).with("os", os),
            Self::File { name, reason, os: None } => Args::new().with("path", name).with("detail", reason),
            Self::OtherCode => Args::new().with("case", "other_code"),
            Self::Link(error) => error.args(),
            Self::Unreadable | Self::TooLarge | Self::NoCode | Self::SeveralCodes => Args::new(),
        }
    }
}

/// Returns the pairing link in the image file at this path.
///
/// # Errors
/// When the file cannot be read, and the errors of [`link_in_file`].
pub fn link_at(path: &Path) -> Result<Link, PictureError> {
    let failed = |cause: io::Error| PictureError::File {
        name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        reason: cause.to_string(),
        os: os_kind(&cause),
    };
    let kind = std::fs::metadata(path).map_err(failed)?;
    // Reading a pipe or a device could block.
    if !kind.is_file() {
        return Err(PictureError::Unreadable);
    }
    if kind.len() > MAX_PICTURE {
        return Err(PictureError::TooLarge);
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_PICTURE + 1).read_to_end(&mut bytes)).map_err(failed)?;
    link_in_file(&bytes)
}

/// Returns the pairing link in the bytes of an image file: PNG, JPEG, GIF, WebP or BMP, whatever its name. May take
/// several seconds.
///
/// # Errors
/// When there is no pairing link in it, or more than one.
pub fn link_in_file(bytes: &[u8]) -> Result<Link, PictureError> {
    if bytes.len() as u64 > MAX_PICTURE {
        return Err(PictureError::TooLarge);
    }
    contained(|| search(grey(decode(bytes)?)))
}

/// Returns the pairing link in RGBA pixels, as a clipboard provides them.
///
/// # Errors
/// When there is no pairing link in it, or more than one.
pub fn link_in_rgba(width: u32, height: u32, rgba: Vec<u8>) -> Result<Link, PictureError> {
    if width > MAX_SIDE || height > MAX_SIDE || rgba.len() as u64 > MAX_DECODED {
        return Err(PictureError::TooLarge);
    }
    let picture = image::RgbaImage::from_raw(width, height, rgba).ok_or(PictureError::Unreadable)?;
    contained(|| search(grey(DynamicImage::ImageRgba8(picture))))
}

/// Runs third-party code (decoders and the search) on untrusted bytes. A panic counts as an unreadable picture.
fn contained(work: impl FnOnce() -> Result<Link, PictureError>) -> Result<Link, PictureError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(PictureError::Unreadable))
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, PictureError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| PictureError::Unreadable)?;
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    // Not every decoder enforces the limits.
    if width > MAX_SIDE || height > MAX_SIDE || decoder.total_bytes() > MAX_DECODED {
        return Err(PictureError::TooLarge);
    }
    DynamicImage::from_decoder(decoder).map_err(refused)
}

fn refused(error: ImageError) -> PictureError {
    match error {
        ImageError::Limits(_) => PictureError::TooLarge,
        _ => PictureError::Unreadable,
    }
}

/// Converts to brightness, over white where the picture is transparent.
fn grey(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let picture = picture.into_luma_alpha8();
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [bright, alpha] = picture.get_pixel(x, y).0;
        let (bright, alpha) = (u16::from(bright), u16::from(alpha));
        Luma([((bright * alpha + 255 * (255 - alpha)) / 255).min(255) as u8])
    })
}

/// Searches at several scales, normal and inverted, until a pairing link is found.
fn search(picture: GrayImage) -> Result<Link, PictureError> {
    if picture.width() == 0 || picture.height() == 0 {
        return Err(PictureError::Unreadable);
    }
    let (mut other, mut left) = (false, ALL_TOUCHES);
    for (at, mut sized) in sizes(&picture).enumerate() {
        for inverted in [false, true] {
            if inverted {
                if at >= INVERTED {
                    continue;
                }
                imageops::invert(&mut sized);
            }
            let texts = codes(&sized, &mut left);
            match one_link(&texts) {
                Ok(Some(link)) => return Ok(link),
                Ok(None) => other |= !texts.is_empty(),
                Err(error) => return Err(error),
            }
        }
    }
    Err(if other { PictureError::OtherCode } else { PictureError::NoCode })
}

/// Returns the picture at each scale, created on demand.
fn sizes(picture: &GrayImage) -> impl Iterator<Item = GrayImage> + '_ {
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    let sides = SIZES.into_iter().map(move |percent| match longest {
        ..=SMALL => longest * 3 * percent / 100,
        _ => longest.min(LONGEST) * percent / 100,
    });
    sides.filter(|side| (SMALL / 2..=LONGEST).contains(side)).map(move |side| {
        let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32;
        let (width, height) = (scaled(width), scaled(height));
        match side {
            _ if side < longest => imageops::thumbnail(picture, width, height),
            _ if longest <= SMALL => imageops::resize(picture, width, height, imageops::FilterType::Nearest),
            _ if side > longest => imageops::resize(picture, width, height, imageops::FilterType::Triangle),
            _ => picture.clone(),
        }
    })
}

/// Returns the one pairing link among the texts of codes. Copies of one link count once.
fn one_link(texts: &[Zeroizing<String>]) -> Result<Option<Link>, PictureError> {
    let (mut found, mut broken) = (None, None);
    for text in texts.iter().filter(|text| Link::looks_like(text)) {
        match text.parse::<Link>() {
            Ok(link @ Link::Pair { .. }) => match &found {
                Some(first) if *first != link => return Err(PictureError::SeveralCodes),
                _ => found = Some(link),
            },
            Ok(Link::Device { .. }) => {}
            Err(error) => broken = Some(error),
        }
    }
    match (found, broken) {
        (None, Some(error)) => Err(PictureError::Link(error)),
        (found, _) => Ok(found),
    }
}

/// Returns the texts of all readable codes in the picture.
fn codes(picture: &GrayImage, left: &mut u64) -> Vec<Zeroizing<String>> {
    let budget = (*left).min((u64::from(picture.width()) * u64::from(picture.height()) + 65_536) * TOUCHES);
    let canvas = Canvas::new(picture, budget);
    let work = canvas.pixels.work.clone();
    // The library contains assertions that a hostile picture can trigger.
    let texts = catch_unwind(AssertUnwindSafe(|| {
        let mut prepared = rqrr::PreparedImage::prepare(canvas);
        let grids = prepared.detect_grids();
        grids.iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| Zeroizing::new(text)).collect()
    }));
    *left -= budget - work.left.get();
    texts.unwrap_or_default()
}

/// Picture with a budget of accesses. The search itself has no bound, and a hostile picture could make it run for
/// hours.
#[derive(Clone)]
struct Canvas {
    width: u32,
    height: u32,
    pixels: Pixels,
}

/// State that all copies of a canvas share.
struct SearchBudget {
    left: Cell<u64>,
    corners: Cell<u32>,
    painted: Cell<u8>,
}

/// Payload of the unwinding that ends a search over its budget. It bypasses the panic hook.
struct BudgetSpent;

impl SearchBudget {
    fn spend(&self, touches: u64) {
        match self.left.get().checked_sub(touches) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(0);
                resume_unwind(Box::new(BudgetSpent))
            }
        }
    }

    /// Counts finder patterns: each is painted without interruption.
    fn paint(&self, value: u8) {
        if value == CORNER && self.painted.get() != CORNER {
            self.corners.set(self.corners.get() + 1);
            if self.corners.get() > MAX_CORNERS {
                resume_unwind(Box::new(BudgetSpent));
            }
        }
        self.painted.set(value);
    }
}

/// Pixels whose copying counts as work, too.
struct Pixels {
    bytes: Vec<u8>,
    work: Rc<SearchBudget>,
}

impl Clone for Pixels {
    fn clone(&self) -> Self {
        // A copy moves sixteen bytes at a time.
        self.work.spend(self.bytes.len() as u64 / 16);
        Self { bytes: self.bytes.clone(), work: self.work.clone() }
    }
}

impl Canvas {
    fn new(picture: &GrayImage, budget: u64) -> Self {
        let (width, height) = picture.dimensions();
        let work = Rc::new(SearchBudget { left: Cell::new(budget), corners: Cell::new(0), painted: Cell::new(0) });
        Self { width, height, pixels: Pixels { bytes: picture.as_raw().clone(), work } }
    }

    fn at(&self, x: u32, y: u32) -> usize {
        y as usize * self.width as usize + x as usize
    }
}

impl GenericImageView for Canvas {
    type Pixel = Luma<u8>;

    fn dimensions(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn get_pixel(&self, x: u32, y: u32) -> Luma<u8> {
        self.pixels.work.spend(1);
        Luma([self.pixels.bytes.get(self.at(x, y)).copied().unwrap_or_default()])
    }
}

impl GenericImage for Canvas {
    fn get_pixel_mut(&mut self, x: u32, y: u32) -> &mut Luma<u8> {
        // Never called: a pixel here is a byte, and there is no `Luma` to borrow.
        let _ = (x, y);
        resume_unwind(Box::new(BudgetSpent))
    }

    fn put_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.pixels.work.spend(1);
        self.pixels.work.paint(pixel.0[0]);
        let at = self.at(x, y);
        if let Some(place) = self.pixels.bytes.get_mut(at) {
            *place = pixel.0[0];
        }
    }

    fn blend_pixel(&mut self, x: u32, y: u32, pixel: Luma<u8>) {
        self.put_pixel(x, y, pixel);
    }
}

#[cfg(test)]
#[path = "tests/picture.rs"]
mod tests;
