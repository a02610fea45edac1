package qris

import (
	"fmt"
	"strings"

	qrcode "github.com/skip2/go-qrcode"
)

// MaxPixels is the largest picture that PNG makes, along one side.
const MaxPixels = 2048

// Drawing is a code as a picture: a square of modules with a quiet zone around it.
type Drawing struct {
	// Size is the length of a side in modules, with the quiet zone.
	Size int
	// Path draws the dark modules as the d of an SVG path, one unit a module. It is made of letters, digits
	// and signs only, so a page may put it into an attribute.
	Path string

	code *qrcode.QRCode
}

// Draw makes the picture of a code's content. It recovers from 15 % of damage. Errors: too much content.
func Draw(content string) (*Drawing, error) {
	code, err := qrcode.New(content, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	bitmap := code.Bitmap()
	return &Drawing{Size: len(bitmap), Path: path(bitmap), code: code}, nil
}

// PNG is the picture with that many pixels along a side: at least one a module, at most MaxPixels.
func (d *Drawing) PNG(pixels int) ([]byte, error) {
	picture, err := d.code.PNG(min(max(pixels, d.Size), MaxPixels))
	if err != nil {
		return nil, fmt.Errorf("draw QR code as PNG: %w", err)
	}
	return picture, nil
}

// SVG is the picture as a document that scales to any size.
func (d *Drawing) SVG() []byte {
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`, d.Size, d.Size, d.Size, d.Size, d.Path)
}

// path draws each run of dark modules of a row as one rectangle.
func path(bitmap [][]bool) string {
	var b strings.Builder
	for y, row := range bitmap {
		for x := 0; x < len(row); x++ {
			start := x
			for x < len(row) && row[x] {
				x++
			}
			if x > start {
				fmt.Fprintf(&b, "M%d %dh%dv1H%dz", start, y, x-start, start)
			}
		}
	}
	return b.String()
}
