#!/usr/bin/env Rscript
# From a query to a verified archive with httr2, which needs jsonlite for JSON and does not bring it:
#   install.packages(c("httr2", "jsonlite"))
#   ADIT_URL=http://localhost:3000 ADIT_KEY=adit_… Rscript study.R railroads.zip
library(httr2)

url <- Sys.getenv("ADIT_URL", "http://localhost:3000")
path <- c(commandArgs(trailingOnly = TRUE), "railroads.zip")[1]
query <- list(bool = list(
  must = list(list(match = list(text = "railroad"))),
  filter = list(list(range = list(year = list(lt = 1900))))
))

# A request. httr2 waits as the server asks where it is busy (429, 503); what is refused stops in the server's own words.
adit <- function(...) {
  request(url) |>
    req_url_path_append("api", ...) |>
    req_auth_bearer_token(Sys.getenv("ADIT_KEY")) |>
    req_retry(max_tries = 5) |>
    req_error(body = function(response) resp_body_json(response, check_type = FALSE)$detail)
}

# What does the query find?
found <- adit("collections", "sotu", "search") |>
  req_body_json(list(query = query, limit = 0)) |>
  req_perform() |>
  resp_body_json()
cat(found$hits, "documents\n")

# Fix the result.
docset <- adit("docsets") |>
  req_body_json(list(name = "Railroads", collection = "sotu", query = query)) |>
  req_perform() |>
  resp_body_json()

# Ask for the dump, and poll until it is over, as often as the server wants to be asked.
dump <- adit("docsets", docset$id, "dump") |> req_url_query(fmt = "meta,txt")
response <- dump |> req_method("POST") |> req_perform()
while (!resp_body_json(response)$done) {
  Sys.sleep(as.numeric(resp_header(response, "Retry-After")))
  response <- req_perform(dump)
}
status <- resp_body_json(response)
cat(status$message, "\n")
stopifnot(status$status == "successful")

# Take the archive: the answer leads to a link that is good for 15 minutes.
adit("docsets", docset$id, "dump", "archive") |>
  req_url_query(fmt = "meta,txt") |>
  req_perform(path = path)
stopifnot(format(openssl::sha256(file(path))) == status$archive$sha256)

files <- unzip(path, list = TRUE)$Name
cat(path, "has", sum(grepl("/data/.*[.]txt$", files)), "texts\n")
