package projections

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/jmoiron/sqlx"

	"boxoffice/internal/httpapi"
	"boxoffice/internal/views"
)

// itemPage is a page of open items.
type itemPage struct {
	Items []views.OpenItem `json:"items"`
	Next  string           `json:"next,omitzero"` // the cursor of the next page; left out: this is the last
}

// listOpenItems answers GET /open-items, the newest first: those that are open, or with resolved=true those
// that are resolved.
func (q *Queries) listOpenItems(w http.ResponseWriter, r *http.Request) error {
	params, err := query(r, "resolved", "limit", "cursor")
	if err != nil {
		return err
	}
	text, _, err := single(params, "resolved")
	if err != nil {
		return err
	}
	if text != "" && text != "true" && text != "false" {
		return badParameter("resolved", "must be true or false")
	}
	limit, err := httpapi.ParseLimit(params)
	if err != nil {
		return err
	}
	from, err := goOn(params, strconv.FormatBool(text == "true"))
	if err != nil {
		return err
	}
	var records []itemRecord
	if err := sqlx.SelectContext(r.Context(), q.db, &records, selectItemsSQL+`WHERE resolved = $1 AND opened < $2
		ORDER BY opened DESC LIMIT $3`, text == "true", from.Position, int64(limit)+1); err != nil {
		return fmt.Errorf("list open items: %w", err)
	}
	page := itemPage{}
	if len(records) > limit {
		records = records[:limit]
		if page.Next, err = httpapi.EncodeCursor(before{records[limit-1].Opened, from.Filter}); err != nil {
			return err
		}
	}
	for _, record := range records {
		page.Items = append(page.Items, record.row().State.OpenItem)
	}
	w.Header().Set("Cache-Control", "no-store")
	return httpapi.JSON(w, http.StatusOK, page)
}
