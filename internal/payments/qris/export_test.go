package qris

// Checksum is the checksum of a text.
func Checksum(text string) string { return checksum(text) }
