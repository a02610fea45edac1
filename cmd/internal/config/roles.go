package config

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// ParseRoles reads what --roles says: roles, comma separated. Errors are Problems of --roles.
func ParseRoles(text string) (Roles, error) {
	var roles Roles
	for _, word := range words([]byte(text)) {
		roles = append(roles, Role(word))
	}
	return roles, join(checkRoles(roles))
}

func checkRoles(roles Roles) []Problem {
	const name = "--roles"
	if len(roles) == 0 {
		return []Problem{{name, "names no role", "--roles=" + AllRoles().String()}}
	}
	var problems []Problem
	for i, role := range roles {
		if !AllRoles().Has(role) {
			problems = append(problems, Problem{name, fmt.Sprintf("%q is not a role", string(role)), "--roles=" + AllRoles().String()})
		}
		if slices.Contains(roles[:i], role) {
			problems = append(problems, Problem{name, fmt.Sprintf("%q stands there twice", string(role)), ""})
		}
	}
	return problems
}

// localURL is how this machine reaches an address that HTTP is served on.
func localURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if host == "" || strings.Trim(host, "0.:") == "" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
