# Records of Ruby's Logger, and an uncaught exception.
require 'logger'

$stderr = $stdout
$stdout.sync = true
log = Logger.new($stdout)
log.info('listening')

def find(id)
  raise KeyError, "no such cart: #{id}"
end

begin
  find(7)
rescue KeyError => error
  log.error(error)
end
log.warn('slow query')
[8].each { |id| find(id) }
